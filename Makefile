# SPDX-License-Identifier: Apache-2.0
# znodefs. `make help` lists the targets; `make run` and `make check` need nothing but this file and a
# package manager: they install what is missing first.
#
# Everything that is built lies in $(BUILD)/$(VARIANT)/, the release variant's results in $(BUILD)/.

BUILD   ?= build
VARIANT ?= release
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
CFLAGS  ?= -O2 -g
LDFLAGS ?=
export BUILD

# Bounds of the tests, to be raised by hand: make check SIM_SEEDS=100000 ZN_KILL_ROUNDS=200
SIM_SEEDS    ?= 3000
FUZZ_SECONDS ?= 30

# --- variants ---------------------------------------------------------------------------------------
VARIANTS := release asan tsan fuzz
ifeq ($(filter $(VARIANT),$(VARIANTS)),)
$(error VARIANT=$(VARIANT): known are $(VARIANTS))
endif

OBJ := $(BUILD)/$(VARIANT)
OUT := $(if $(filter release,$(VARIANT)),$(BUILD),$(OBJ))

SANITIZE_asan := -fsanitize=address,undefined -fno-sanitize-recover=all
SANITIZE_tsan := -fsanitize=thread
SANITIZE_fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
SANITIZE      := $(SANITIZE_$(VARIANT))
ifneq ($(SANITIZE),)
SANITIZE += -fno-omit-frame-pointer -DZN_DEBUG
endif

# --- flags ------------------------------------------------------------------------------------------
WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wundef -Wformat=2 -Wstrict-prototypes \
	-Wmissing-prototypes -Wwrite-strings -Wconversion
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif

# clang checks the lock annotations of include/znodefs/lock.h.
IS_CLANG = $(findstring clang,$(shell $(CC) --version 2>/dev/null | head -n 1))
WARNINGS += $(if $(IS_CLANG),-Wthread-safety)

# Asked for when the first recipe needs it, so that a target may install the packages before that.
# Their headers are the system's: our warnings are not for them.
pkg = $(patsubst -I%,-isystem %,$(shell pkg-config $(1)))
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(call pkg,--cflags fuse3 liburing libxxhash))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $$(shell pkg-config --libs fuse3 liburing libxxhash))$(PKG_LIBS)
TEST_LIBS  = $(eval TEST_LIBS := $$(shell pkg-config --libs cmocka))$(TEST_LIBS)

LANGUAGE := -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread
OUR_CFLAGS = $(LANGUAGE) $(WARNINGS) -Iinclude $(SANITIZE)
COMPILE = $(CC) $(OUR_CFLAGS) $(PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP
LINK    = $(CC) -pthread $(SANITIZE) $(CFLAGS) $(LDFLAGS) -Wl,--as-needed

# Tests see the internals of what they test.
TEST_INCLUDES := -Iengine -Ifs -Itests/unit -I.

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n' $(1) $(2)
endif

# --- what there is ----------------------------------------------------------------------------------
objects = $(patsubst %.c,$(OBJ)/%.o,$(1))

ENGINE_SOURCES := $(sort $(wildcard engine/*.c))
FS_SOURCES     := $(filter-out fs/main.c,$(sort $(wildcard fs/*.c)))
CLI_SOURCES    := $(sort $(wildcard cli/*.c))
UNIT_SOURCES   := $(sort $(wildcard tests/unit/test_*.c))
UNIT_SUPPORT   := $(sort $(wildcard tests/unit/support*.c))
SIM_SOURCES    := $(sort $(wildcard tests/sim/*.c))
MOUNT_SOURCES  := $(sort $(wildcard tests/mount/*.c))
FUZZ_SOURCES   := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH_SUPPORT  := $(wildcard tests/bench/measure.c)
BENCH_SOURCES  := $(filter-out $(BENCH_SUPPORT),$(sort $(wildcard tests/bench/*.c)))
ALL_SOURCES    := $(ENGINE_SOURCES) $(sort $(wildcard fs/*.c)) $(CLI_SOURCES) $(UNIT_SOURCES) \
	$(UNIT_SUPPORT) $(SIM_SOURCES) $(MOUNT_SOURCES) $(FUZZ_SOURCES) $(BENCH_SUPPORT) $(BENCH_SOURCES)

LIBENGINE := $(OUT)/libengine.a
LIBFS     := $(OBJ)/libfs.a
DAEMON    := $(if $(FS_SOURCES),$(OUT)/znodefs)
TOOL      := $(if $(CLI_SOURCES),$(OUT)/znode)
UNIT      := $(patsubst tests/unit/%.c,$(OBJ)/unit/%,$(UNIT_SOURCES))
SIM       := $(if $(SIM_SOURCES),$(OBJ)/sim)
MOUNT_BIN := $(patsubst tests/mount/%.c,$(BUILD)/mount-bin/%,$(MOUNT_SOURCES))
BENCH     := $(patsubst tests/bench/%.c,$(BUILD)/bench-bin/%,$(BENCH_SOURCES))
FUZZ      := $(patsubst tests/fuzz/%.c,$(OBJ)/%,$(FUZZ_SOURCES))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all deps run check check-unit check-sim check-mount check-e2e check-asan check-tsan fuzz bench \
	lint format install clean help everything tests-built bench-built fuzz-run lint-run FORCE

## all: build/znodefs (and build/znode when cli/ is there)
all: $(DAEMON) $(TOOL)

# --- compiling and linking --------------------------------------------------------------------------
# Rebuilt with other flags or another compiler: all objects depend on this file.
$(OBJ)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(OUR_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(OUR_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' >$@

$(OBJ)/tests/%.o: tests/%.c $(OBJ)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) $(TEST_INCLUDES) -c -o $@ $<

$(OBJ)/%.o: %.c $(OBJ)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) -c -o $@ $<

$(LIBENGINE): $(call objects,$(ENGINE_SOURCES))
$(LIBFS): $(call objects,$(FS_SOURCES))
$(LIBENGINE) $(LIBFS):
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(DAEMON): $(call objects,fs/main.c) $(LIBFS) $(LIBENGINE)
$(TOOL): $(call objects,$(CLI_SOURCES)) $(LIBENGINE)
$(SIM): $(call objects,$(SIM_SOURCES)) $(LIBENGINE)
$(DAEMON) $(TOOL) $(SIM):
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS)

$(OBJ)/unit/%: $(OBJ)/tests/unit/%.o $(call objects,$(UNIT_SUPPORT)) $(LIBFS) $(LIBENGINE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS) $(TEST_LIBS)

# The helpers of the mount tests and the bench are the same in every variant: never sanitized.
$(BUILD)/mount-bin/%: $(BUILD)/release/tests/mount/%.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^

$(BUILD)/bench-bin/%: $(OBJ)/tests/bench/%.o $(call objects,$(BENCH_SUPPORT)) $(LIBENGINE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(PKG_LIBS) -lm

$(OBJ)/fuzz_%: $(OBJ)/tests/fuzz/fuzz_%.o $(LIBFS) $(LIBENGINE)
	$(call say,LINK,$@)
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

-include $(patsubst %.o,%.d,$(call objects,$(ALL_SOURCES)))

everything: all $(UNIT) $(SIM)
tests-built: everything

# --- running it -------------------------------------------------------------------------------------
SUBMAKE = +$(Q)$(MAKE) --no-print-directory

## deps: install the packages that building, testing and linting need
deps:
	$(Q)tests/install-deps.sh build test lint

## run: install what is missing, build, mount a demonstration, say what to try
run:
	$(Q)tests/install-deps.sh build
	$(SUBMAKE) all
	$(Q)tests/demo.sh start $(DAEMON)

## bench: measure, each figure beside its peers
bench:
	$(Q)tests/install-deps.sh build test
	$(SUBMAKE) all bench-built
	$(Q)ZNODEFS=$(abspath $(DAEMON)) BENCH_BIN=$(abspath $(BUILD))/bench-bin tests/bench/run

bench-built: $(BENCH)

# --- tests ------------------------------------------------------------------------------------------
CHECK = $(Q)BUILD='$(BUILD)' VARIANT='$(VARIANT)' ZNODEFS='$(abspath $(DAEMON))' \
	SIM_SEEDS='$(SIM_SEEDS)' tests/check.sh
HELPERS = +$(Q)$(MAKE) --no-print-directory VARIANT=release mount-helpers

## check: all tests; ends with a line "N passed, N failed"
check:
	$(Q)tests/install-deps.sh build test
	$(SUBMAKE) tests-built
	$(HELPERS)
	$(CHECK) unit sim mount

## check-unit, check-sim, check-mount: only these
check-unit check-sim check-mount:
	$(Q)tests/install-deps.sh build test
	$(SUBMAKE) tests-built
	$(HELPERS)
	$(CHECK) $(@:check-%=%)

check-e2e: check-mount

## check-asan: all tests with AddressSanitizer and UBSan, nothing recovers
## check-tsan: all tests with ThreadSanitizer
check-asan check-tsan:
	$(Q)tests/install-deps.sh build test
	$(SUBMAKE) VARIANT=$(@:check-%=%) SIM_SEEDS=$$(($(SIM_SEEDS) / 10)) check

.PHONY: mount-helpers
mount-helpers: $(MOUNT_BIN)

## fuzz: each decoder for FUZZ_SECONDS (30) under libFuzzer; needs clang
fuzz:
	$(Q)tests/install-deps.sh build lint
	$(SUBMAKE) VARIANT=fuzz CC=clang CFLAGS='-O1 -g' fuzz-run

fuzz-run: $(FUZZ)
	$(Q)tests/fuzz.sh $(FUZZ_SECONDS) $(BUILD)/fuzz-corpus $(FUZZ)

# --- looking at the source --------------------------------------------------------------------------
HEADERS := $(sort $(wildcard include/znodefs/*.h engine/*.h fs/*.h cli/*.h tests/*/*.h))
SCRIPTS := $(sort $(wildcard tests/*.sh tests/mount/*.sh tests/mount/run tests/bench/run tests/bench/*.sh \
	.ci/run))
MANUALS := $(sort $(wildcard docs/*.[1-8]))

## lint: clang-format, clang-tidy, cppcheck, shellcheck, groff, systemd-analyze
lint:
	$(Q)tests/install-deps.sh build test lint
	$(SUBMAKE) CC=clang lint-run

lint-run: compile_commands.json
	$(Q)tests/lint.sh '$(ALL_SOURCES)' '$(HEADERS)' '$(SCRIPTS)' '$(MANUALS)'

## format: rewrite the sources as .clang-format says
format:
	clang-format -i $(ALL_SOURCES) $(HEADERS)

## compile_commands.json: for editors and clang-tidy
compile_commands.json: $(ALL_SOURCES) Makefile
	$(Q){ sep='['; for f in $(ALL_SOURCES); do \
		case $$f in tests/*) more='$(TEST_INCLUDES)' ;; *) more= ;; esac; \
		printf '%s\n{"directory": "%s", "file": "%s", "command": "%s"}' "$$sep" '$(CURDIR)' "$$f" \
			"$(CC) $(OUR_CFLAGS) $(PKG_CFLAGS) -DZN_DEBUG $$more -c $$f"; \
		sep=','; done; echo; echo ']'; } >$@

# --- installing -------------------------------------------------------------------------------------
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
DOCDIR  ?= $(PREFIX)/share/doc/znodefs
UNITDIR ?= $(PREFIX)/lib/systemd/system

## install: DESTDIR and PREFIX (/usr/local) are honoured
install: all
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(MANDIR)/man8' '$(DESTDIR)$(DOCDIR)' '$(DESTDIR)$(UNITDIR)'
	install -m 755 $(DAEMON) $(TOOL) '$(DESTDIR)$(BINDIR)'
	install -m 644 docs/*.8 '$(DESTDIR)$(MANDIR)/man8'
	install -m 644 README.md LICENSE docs/*.md systemd/*.example '$(DESTDIR)$(DOCDIR)'
	sed 's|@BINDIR@|$(BINDIR)|g' systemd/znodefs@.service >'$(DESTDIR)$(UNITDIR)/znodefs@.service'
	chmod 644 '$(DESTDIR)$(UNITDIR)/znodefs@.service'

## clean: remove what was built
clean:
	rm -rf '$(BUILD)' compile_commands.json

## help: this list
help:
	@sed -n 's/^## /  /p' Makefile
