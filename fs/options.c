/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: what is ours is parsed into struct options and checked against its range; what is FUSE's
 * or the kernel's is collected for libfuse; what mount(8) and fstab use among themselves is dropped.
 * Anything else is an error, so that a misspelt option is never silently without effect.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "fuse.h"

#ifndef ZNODEFS_VERSION
#define ZNODEFS_VERSION "0.1"
#endif

#define MS_MAX 86400000 /* a day */

struct word {
	const char *text;
	int value;
};

static const struct word durability_words[] = { { "strict", false }, { "relaxed", true }, { 0 } };
static const struct word log_sync_words[] = {
	{ "auto", ZN_LOG_SYNC_AUTO },
	{ "ring", ZN_LOG_SYNC_RING },
	{ "direct", ZN_LOG_SYNC_DIRECT },
	{ 0 },
};

enum option_kind { KIND_NUMBER, KIND_BYTES, KIND_WORD };

/* An option NAME=VALUE of ours. Values are read into a 64-bit integer and then put in place. */
struct option_rule {
	const char *name;
	enum option_kind kind;
	int64_t min;
	int64_t max;
	int64_t multiple;         /* KIND_BYTES */
	const struct word *words; /* KIND_WORD */
	void (*set)(struct options *opt, int64_t value);
};

static void set_durability(struct options *opt, int64_t value)
{
	opt->local.relaxed = value != 0;
}

static void set_commit_interval(struct options *opt, int64_t value)
{
	opt->local.commit_interval_ms = (unsigned)value;
}

static void set_publish_delay(struct options *opt, int64_t value)
{
	opt->publish_delay_ms = value;
}

static void set_max_data(struct options *opt, int64_t value)
{
	opt->local.max_data = (uint64_t)value;
}

static void set_max_memory(struct options *opt, int64_t value)
{
	opt->local.max_memory = (uint64_t)value;
}

static void set_segment_size(struct options *opt, int64_t value)
{
	opt->local.segment_bytes = (uint64_t)value;
}

static void set_log_sync(struct options *opt, int64_t value)
{
	opt->local.log_sync = (enum zn_log_sync)value;
}

static void set_snapshot_bytes(struct options *opt, int64_t value)
{
	opt->snapshot_bytes = (uint64_t)value;
}

static void set_keep_snapshots(struct options *opt, int64_t value)
{
	opt->keep_snapshots = (uint64_t)value;
}

#define MIB (INT64_C(1) << 20)

static const struct option_rule rules[] = {
	{ "durability", KIND_WORD, 0, 0, 0, durability_words, set_durability },
	{ "commit_interval_ms", KIND_NUMBER, 1, 60000, 0, NULL, set_commit_interval },
	{ "publish_delay_ms", KIND_NUMBER, -1, MS_MAX, 0, NULL, set_publish_delay },
	{ "max_data", KIND_BYTES, 1, (int64_t)ZN_MAX_DATA_MAX, 1, NULL, set_max_data },
	{ "max_memory", KIND_BYTES, MIB, INT64_C(1) << 46, 1, NULL, set_max_memory },
	{ "segment_size", KIND_BYTES, (int64_t)ZN_SEGMENT_BYTES_MIN, (int64_t)ZN_SEGMENT_BYTES_MAX,
	  MIB, NULL, set_segment_size },
	{ "log_sync", KIND_WORD, 0, 0, 0, log_sync_words, set_log_sync },
	{ "snapshot_bytes", KIND_BYTES, MIB, INT64_C(1) << 50, 1, NULL, set_snapshot_bytes },
	{ "keep_snapshots", KIND_NUMBER, 1, 1000, 0, NULL, set_keep_snapshots },
};

/* Passed on to libfuse, which gives them to the kernel or to fusermount3. */
#define FUSE_WORDS \
	"allow_other allow_root auto_unmount ro rw suid nosuid dev nodev exec noexec " \
	"async sync dirsync atime noatime"

/* Meant for mount(8), systemd or libmount; they mean nothing to a mounted znodefs. */
#define IGNORED_WORDS \
	"default_permissions defaults auto noauto fail nofail _netdev user nouser users owner " \
	"group relatime norelatime strictatime nostrictatime diratime nodiratime lazytime " \
	"nolazytime iversion noiversion mand nomand silent loud user= comment= x- X-"

/* A listed word that ends in '=' or '-' stands for everything that begins so and goes on. */
static bool word_listed(const char *list, const char *word)
{
	while (*list != '\0') {
		size_t length = strcspn(list, " ");
		bool prefix = list[length - 1] == '=' || list[length - 1] == '-';

		if (strncmp(word, list, length) == 0 && (word[length] != '\0') == prefix)
			return true;
		list += length + strspn(list + length, " ");
	}
	return false;
}

/* Decimal digits, a sign if @min allows it, and for KIND_BYTES one of k, M, G, T. */
static int parse_number(const struct option_rule *rule, const char *text, int64_t *ret_value)
{
	static const char units[] = "kMGT";
	const char *digits = text;
	const char *unit;
	int64_t value;
	char *end;

	if (rule->min < 0 && *digits == '-')
		digits++;
	if (*digits < '0' || *digits > '9')
		return -EINVAL;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno != 0)
		return -errno;
	if (rule->kind == KIND_BYTES && *end != '\0') {
		unit = strchr(units, *end == 'K' ? 'k' : *end);
		if (!unit || end[1] != '\0')
			return -EINVAL;
		if (__builtin_mul_overflow(value, INT64_C(1) << (10 * (unit - units + 1)), &value))
			return -ERANGE;
	} else if (*end != '\0') {
		return -EINVAL;
	}
	if (value < rule->min || value > rule->max)
		return -ERANGE;
	if (rule->kind == KIND_BYTES && value % rule->multiple != 0)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static int parse_word(const struct option_rule *rule, const char *text, int64_t *ret_value)
{
	for (const struct word *w = rule->words; w->text; w++) {
		if (strcmp(w->text, text) == 0) {
			*ret_value = w->value;
			return 0;
		}
	}
	return -EINVAL;
}

static void complain_value(const struct option_rule *rule, const char *value)
{
	char allowed[96] = "";
	size_t used = 0;

	if (rule->kind == KIND_WORD) {
		for (const struct word *w = rule->words; w->text; w++)
			used += (size_t)snprintf(allowed + used, sizeof(allowed) - used, "%s%s",
						 used ? " or " : "", w->text);
		message(LOG_ERR, "option %s: '%s' is not %s", rule->name, value, allowed);
		return;
	}
	if (rule->kind == KIND_BYTES && rule->multiple > 1)
		(void)snprintf(allowed, sizeof(allowed), " and a multiple of %lld",
			       (long long)rule->multiple);
	message(LOG_ERR, "option %s: '%s' is not a %s from %lld to %lld%s", rule->name, value,
		rule->kind == KIND_BYTES ? "size (digits, then k, M, G or T)" : "number",
		(long long)rule->min, (long long)rule->max, allowed);
}

static const struct option_rule *find_rule(const char *word, size_t name_bytes)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (strlen(rules[i].name) == name_bytes &&
		    strncmp(rules[i].name, word, name_bytes) == 0)
			return &rules[i];
	}
	return NULL;
}

static int pass_on(struct options *opt, const char *word)
{
	if (fuse_opt_add_opt_escaped(&opt->fuse, word) == 0)
		return 0;
	message(LOG_ERR, "out of memory");
	return -ENOMEM;
}

/* One word of an -o list. */
static int parse_option(struct options *opt, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t name_bytes = equals ? (size_t)(equals - word) : strlen(word);
	const struct option_rule *rule = find_rule(word, name_bytes);
	int64_t value = 0;
	int r;

	if (rule) {
		if (!equals) {
			message(LOG_ERR, "option %s needs a value", rule->name);
			return -EINVAL;
		}
		r = rule->kind == KIND_WORD ? parse_word(rule, equals + 1, &value)
					    : parse_number(rule, equals + 1, &value);
		if (r < 0)
			complain_value(rule, equals + 1);
		else
			rule->set(opt, value);
		return r;
	}
	if (word_listed(FUSE_WORDS, word))
		return pass_on(opt, word);
	if (strncmp(word, "fsname=", 7) == 0 && word[7] != '\0') {
		opt->has_fsname = true;
		return pass_on(opt, word);
	}
	if (strncmp(word, "subtype=", 8) == 0 && word[8] != '\0') {
		opt->has_subtype = true;
		return pass_on(opt, word);
	}
	if (word_listed(IGNORED_WORDS, word))
		return 0;
	message(LOG_ERR, "unknown option '%s'", word);
	return -EINVAL;
}

/* Splits @list at its commas, in place; a backslash takes the next character as it is. */
static int parse_list(struct options *opt, char *list)
{
	char *in = list;
	int r;

	while (*in != '\0') {
		char *word = in;
		char *out = in;
		bool more;

		while (*in != '\0' && *in != ',') {
			if (*in == '\\' && in[1] != '\0')
				in++;
			*out++ = *in++;
		}
		more = *in == ',';
		*out = '\0';
		if (more)
			in++;
		r = *word == '\0' ? 0 : parse_option(opt, word);
		if (r < 0)
			return r;
	}
	return 0;
}

static void show_help(void)
{
	(void)printf(
		"usage: znodefs [-f] [-o OPTION,...] STATE_DIR MOUNTPOINT\n"
		"\n"
		"  -f                       stay in the foreground, log to stderr\n"
		"  -o OPTION,...            mount options\n"
		"  -h, --help               show this\n"
		"  -V, --version            show the version\n"
		"\n"
		"options:\n"
		"  durability=strict|relaxed  relaxed: reply at once, log soon after (strict)\n"
		"  commit_interval_ms=N       how soon, for relaxed (5)\n"
		"  publish_delay_ms=N         quiet time that publishes a rewrite (1000)\n"
		"  max_data=BYTES             largest value of one znode (1M)\n"
		"  max_memory=BYTES           tree size that gets ENOSPC (half of RAM)\n"
		"  segment_size=BYTES         log segment (64M)\n"
		"  log_sync=auto|ring|direct  how a batch is made durable (auto)\n"
		"  snapshot_bytes=BYTES       log between two snapshots (1G)\n"
		"  keep_snapshots=N           older ones are removed (3)\n"
		"  allow_other, allow_root, auto_unmount, ro, nosuid, nodev, noexec, noatime,\n"
		"  fsname=NAME, subtype=NAME  as for every FUSE file system\n"
		"\n"
		"Sizes take k, M, G and T. See znodefs(8).\n");
}

static enum options_outcome parse_switches(struct options *opt, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":fho:V", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			opt->foreground = true;
			break;
		case 'o':
			if (parse_list(opt, optarg) < 0)
				return OPTIONS_WRONG;
			break;
		case 'h':
			show_help();
			return OPTIONS_SHOWN;
		case 'V':
			(void)printf("znodefs %s, libfuse %s\n", ZNODEFS_VERSION,
				     fuse_pkgversion());
			return OPTIONS_SHOWN;
		case ':':
			message(LOG_ERR, "-%c needs an argument", optopt);
			return OPTIONS_WRONG;
		default:
			if (optopt)
				message(LOG_ERR, "unknown option '-%c'", optopt);
			else
				message(LOG_ERR, "unknown option '%s'", argv[optind - 1]);
			return OPTIONS_WRONG;
		}
	}
	return OPTIONS_RUN;
}

enum options_outcome options_init(struct options *opt, int argc, char **argv)
{
	enum options_outcome outcome;

	*opt = (struct options){
		.publish_delay_ms = 1000,
		.snapshot_bytes = UINT64_C(1) << 30,
		.keep_snapshots = 3,
	};
	zn_local_options_init(&opt->local);
	outcome = parse_switches(opt, argc, argv);
	if (outcome != OPTIONS_RUN)
		return outcome;
	if (argc - optind < 2) {
		message(LOG_ERR,
			"%s missing; usage: znodefs [-f] [-o OPTION,...] STATE_DIR MOUNTPOINT",
			argc == optind ? "STATE_DIR and MOUNTPOINT" : "MOUNTPOINT");
		return OPTIONS_WRONG;
	}
	if (argc - optind > 2) {
		message(LOG_ERR,
			"'%s': too many arguments, only STATE_DIR and MOUNTPOINT are expected",
			argv[optind + 2]);
		return OPTIONS_WRONG;
	}
	opt->state_dir = argv[optind];
	opt->mount_point = argv[optind + 1];
	if (opt->state_dir[0] == '\0' || opt->mount_point[0] == '\0') {
		message(LOG_ERR, "%s is empty", opt->state_dir[0] ? "MOUNTPOINT" : "STATE_DIR");
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}

void options_fini(struct options *opt)
{
	free(opt->fuse);
}
