# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
# A thin front over meson: "make help" lists what there is.

BUILD   ?= build
RELEASE ?= build-release
PREFIX  ?=
SUITE   ?=
CASE    ?=
MINUTES ?= 60
TARGET  ?=

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

help:
	@echo 'make            configure $(BUILD)/ if needed, and build'
	@echo 'make test       install what the tests need, build, run them; SUITE="unit ..." runs some'
	@echo 'make test-full  the same with the slow tests: all machines, crash, a kernel with debug data'
	@echo 'make coverage   show which lines of lib/ the tests run; SUITE="unit ..." for some suites'
	@echo 'make demo       dump a running guest, and open the files in other programs'
	@echo 'make demo-watch show how a panic of a guest is kept, in less than a minute'
	@echo 'make bench      measure a release build; CASE=NAME for one case or a pattern'
	@echo 'make fuzz       fuzz all readers for MINUTES=60 minutes; TARGET="dump ..." for some'
	@echo 'make install    build $(RELEASE)/ and install it; DESTDIR and PREFIX are respected'
	@echo 'make dist-static  build static programs for x86_64 and aarch64 Linux, in build/dist/'
	@echo 'make clean      remove build products (make distclean: also their directories and downloads)'
	@echo 'scripts/setup build|dist|test|full   install the Debian packages for these'

# The compiler and the options are meson's business: CC=clang make, meson configure build ...
%/build.ninja:
	@command -v meson >/dev/null || { echo 'meson is missing; run scripts/setup build' >&2; exit 1; }
	meson setup $(if $(filter $(RELEASE),$*),--buildtype=release -Dtests=false) $*

setup-%:
	@scripts/setup $*

test: setup-test
	@$(MAKE) --no-print-directory all
	@tests/run $(SUITE)

test-full: setup-full
	@$(MAKE) --no-print-directory all
	@GUESTDUMP_FULL=1 tests/run $(SUITE)

coverage: setup-full
	@tests/coverage $(BUILD)/coverage $(SUITE)

demo demo-watch: setup-test
	@$(MAKE) --no-print-directory all
	@GUESTDUMP=$(abspath $(BUILD))/tool/guestdump scripts/$@

bench: setup-test
	@$(MAKE) --no-print-directory BUILD=$(RELEASE) all
	@ninja -C $(RELEASE) bench/meter
	@GUESTDUMP=$(abspath $(RELEASE))/tool/guestdump bench/run $(CASE)

fuzz: setup-test
	@tests/fuzz/run -m $(MINUTES) -d $(BUILD)/fuzz $(TARGET)

install: $(RELEASE)/build.ninja
	$(if $(PREFIX),meson configure $(RELEASE) -Dprefix=$(PREFIX))
	$(if $(DESTDIR),DESTDIR=$(abspath $(DESTDIR))) meson install -C $(RELEASE)

dist-static: setup-dist
	@scripts/dist-static

clean:
	for dir in $(BUILD) $(RELEASE); do \
		[ ! -e $$dir/build.ninja ] || ninja -C $$dir clean; \
	done

distclean:
	rm -rf $(BUILD) $(RELEASE)

export BUILD
.PHONY: all help test test-full coverage demo demo-watch bench fuzz install dist-static clean distclean
.PRECIOUS: %/build.ninja
