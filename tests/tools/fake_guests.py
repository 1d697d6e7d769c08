#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""Monitors of guests that do not exist: fake_guests.py DIR NUM

The sockets are DIR/0 to DIR/NUM-1. As soon as the file DIR/panic exists, all guests panic; each
command but a few is refused. Each line of standard output is a guest and what became of it.
"""

import json
import os
import selectors
import socket
import sys

directory, number = sys.argv[1], int(sys.argv[2])
selector = selectors.DefaultSelector()
panicked = False
clients = {}

GREETING = {"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""},
                    "capabilities": []}}
PANIC = {"event": "GUEST_PANICKED", "data": {"action": "pause"},
         "timestamp": {"seconds": 1, "microseconds": 2}}


def send(conn, message):
    try:
        conn.sendall(json.dumps(message).encode() + b"\r\n")
    except OSError:
        pass


def accept(listener):
    if listener in clients:         # one client at a time
        selector.unregister(listener)
        return
    conn, _ = listener.accept()
    clients[listener] = conn
    selector.register(conn, selectors.EVENT_READ, lambda c: answer(listener, c))
    send(conn, GREETING)


def hang_up(listener, conn):
    selector.unregister(conn)
    conn.close()
    del clients[listener]
    if listener not in selector.get_map():
        selector.register(listener, selectors.EVENT_READ, accept)


def answer(listener, conn):
    try:
        data = conn.recv(65536)
    except OSError:
        data = b""
    if not data:
        hang_up(listener, conn)
        return
    for line in data.splitlines():
        if not line.strip():
            continue
        command = json.loads(line)
        name, ident = command["execute"], command.get("id")
        if name == "qmp_capabilities":
            send(conn, {"return": {}, "id": ident})
        elif name == "query-status":
            state = "guest-panicked" if panicked else "running"
            send(conn, {"return": {"status": state, "running": not panicked}, "id": ident})
        elif name in ("cont", "system_reset"):
            print(listener.getsockname(), name, flush=True)
            send(conn, {"return": {}, "id": ident})
        else:
            send(conn, {"error": {"class": "GenericError", "desc": "there is no guest"}, "id": ident})


for i in range(number):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(f"{directory}/{i}")
    sock.listen(4)
    selector.register(sock, selectors.EVENT_READ, accept)
print("listening", flush=True)
while True:
    for key, _ in selector.select(0.1):
        key.data(key.fileobj)
    if not panicked and os.path.exists(f"{directory}/panic"):
        panicked = True
        for client in clients.values():
            send(client, PANIC)
