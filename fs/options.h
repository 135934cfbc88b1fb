/* SPDX-License-Identifier: Apache-2.0 */
/* options: the command line, and nothing else: no file is touched here. */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include "znodefs/local.h"

struct options {
	struct zn_local_options local; /* state_dir is set later, by the caller */
	char *state_dir;               /* as given */
	char *mount_point;             /* as given */
	char *fuse;                    /* libfuse's -o string; fsname may still be missing */
	bool has_fsname;
	bool has_subtype;
	bool foreground;
	int64_t publish_delay_ms; /* -1: only close and fsync publish */
	uint64_t snapshot_bytes;
	uint64_t keep_snapshots;
};

enum options_outcome {
	OPTIONS_RUN,   /* go on */
	OPTIONS_SHOWN, /* --help or --version was answered */
	OPTIONS_WRONG, /* one line on stderr names what is wrong */
};

/* Reads the command line. Release with options_fini() whatever the outcome. */
enum options_outcome options_init(struct options *opt, int argc, char **argv);
void options_fini(struct options *opt);

#endif
