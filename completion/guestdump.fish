# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
#
# Completion of guestdump(1) for fish. The program itself knows what can stand where:
# "guestdump complete WORD..." prints it, as described in tool/complete.h.

function __guestdump_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    for line in ($program complete $words "$word" 2>/dev/null)
        if test "$line" != :files
            echo $line
            continue
        end
        set -l option (string match -r -- '^--[^=]*=' "$word")
        for path in (__fish_complete_path (string replace -- "$option" '' "$word"))
            echo "$option$path"
        end
    end
end

complete -c guestdump -f -a '(__guestdump_complete)'
