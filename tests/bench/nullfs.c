/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system that does nothing but answer: a table in memory behind one lock, no disk. What a
 * request costs here is what FUSE itself costs on this machine, so it is the floor under the
 * daemon's latency. Open flags, capabilities, time-outs and the number of threads that read are the
 * daemon's, and it answers getxattr (there are none), which the kernel asks at open O_TRUNC.
 *
 * Usage: nullfs [-t THREADS] [-T SECONDS] MOUNTPOINT. It stays in the foreground; SIGTERM, SIGINT
 * or an unmount ends it, and it prints how many requests of each kind it has read.
 */
#define FUSE_USE_VERSION 314

#include "measure.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <getopt.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "znodefs/base.h"

#define BUCKETS (UINT64_C(1) << 16)
#define THREADS_MAX 64
#define OPCODES 64
#define BACKGROUND_MAX 60000

/* A file or directory with its only name. The node id of FUSE is its address, but for the root. */
struct node {
	struct node *hash_next;
	struct node *children; /* directories: newest first */
	struct node *next;     /* siblings; older */
	struct node **link;    /* what points to this sibling; NULL once unlinked */
	struct node *parent;
	uint64_t serial;  /* falls along the list of siblings: the directory cookie */
	uint64_t lookups; /* the kernel's references */
	uint32_t hash;
	struct stat attr;
	char *data;
	size_t data_room;
	char name[256];
};

static struct {
	pthread_mutex_t lock;
	struct node *buckets[BUCKETS]; /* all below guarded by lock */
	struct node root;
	uint64_t serial;
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct fuse_session *session;
static double timeout_s = 1.0;
static atomic_uint_fast64_t requests[OPCODES];

/* ---- the table; every function with the lock held ---- */

static struct node *node_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &table.root : (struct node *)(uintptr_t)ino;
}

static uint32_t hash_of(const struct node *parent, const char *name)
{
	uint32_t h = (uint32_t)((uintptr_t)parent >> 4) * UINT32_C(2654435761);

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT32_C(16777619);
	return h;
}

static struct node *table_find(const struct node *parent, const char *name)
{
	uint32_t hash = hash_of(parent, name);
	struct node *n;

	for (n = table.buckets[hash % BUCKETS]; n; n = n->hash_next) {
		if (n->hash == hash && n->parent == parent && strcmp(n->name, name) == 0)
			return n;
	}
	return NULL;
}

static void node_put(struct node *n, uint64_t count)
{
	n->lookups -= count;
	if (n->lookups > 0 || n->link || n == &table.root)
		return;
	free(n->data);
	free(n);
}

static void table_link(struct node *parent, struct node *n)
{
	struct node **bucket;

	n->hash = hash_of(parent, n->name);
	bucket = &table.buckets[n->hash % BUCKETS];
	n->hash_next = *bucket;
	*bucket = n;
	n->parent = parent;
	n->serial = ++table.serial;
	n->next = parent->children;
	if (n->next)
		n->next->link = &n->next;
	n->link = &parent->children;
	parent->children = n;
}

static void table_unlink(struct node *n)
{
	struct node **at = &table.buckets[n->hash % BUCKETS];

	while (*at != n)
		at = &(*at)->hash_next;
	*at = n->hash_next;
	*n->link = n->next;
	if (n->next)
		n->next->link = n->link;
	n->link = NULL;
	n->attr.st_nlink = 0;
	node_put(n, 0);
}

static int table_make(struct node *parent, const char *name, mode_t mode,
		      const struct fuse_ctx *ctx, struct node **ret_node)
{
	struct node *n;

	if (strlen(name) >= sizeof(n->name))
		return -ENAMETOOLONG;
	if (table_find(parent, name))
		return -EEXIST;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	(void)snprintf(n->name, sizeof(n->name), "%s", name);
	n->attr.st_ino = (ino_t)(uintptr_t)n;
	n->attr.st_mode = mode;
	n->attr.st_nlink = S_ISDIR(mode) ? 2 : 1;
	n->attr.st_uid = ctx->uid;
	n->attr.st_gid = ctx->gid;
	table_link(parent, n);
	*ret_node = n;
	return 0;
}

static int node_resize(struct node *n, size_t bytes)
{
	char *data;

	if (bytes > n->data_room) {
		data = realloc(n->data, bytes);
		if (!data)
			return -ENOMEM;
		n->data = data;
		n->data_room = bytes;
	}
	if (bytes > (size_t)n->attr.st_size)
		memset(n->data + n->attr.st_size, 0, bytes - (size_t)n->attr.st_size);
	n->attr.st_size = (off_t)bytes;
	return 0;
}

/* ---- the operations ---- */

static void entry_of(struct node *n, struct fuse_entry_param *entry)
{
	n->lookups++;
	*entry = (struct fuse_entry_param){
		.ino = (fuse_ino_t)(uintptr_t)n,
		.attr = n->attr,
		.attr_timeout = timeout_s,
		.entry_timeout = timeout_s,
	};
}

static void open_flags(struct fuse_file_info *fi)
{
	fi->direct_io = 1;
	fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want &= ~(unsigned)(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_AUTO_INVAL_DATA |
				  FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_HANDLE_KILLPRIV |
				  FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
	conn->max_background = BACKGROUND_MAX;
	conn->congestion_threshold = BACKGROUND_MAX;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { .entry_timeout = timeout_s }; /* ino 0: no such name */
	struct node *n;

	pthread_mutex_lock(&table.lock);
	n = table_find(node_of(parent), name);
	if (n)
		entry_of(n, &entry);
	pthread_mutex_unlock(&table.lock);
	fuse_reply_entry(req, &entry);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	pthread_mutex_lock(&table.lock);
	node_put(node_of(ino), count);
	pthread_mutex_unlock(&table.lock);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	pthread_mutex_lock(&table.lock);
	for (size_t i = 0; i < count; i++)
		node_put(node_of(forgets[i].ino), forgets[i].nlookup);
	pthread_mutex_unlock(&table.lock);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat attr;

	(void)fi;
	pthread_mutex_lock(&table.lock);
	attr = node_of(ino)->attr;
	pthread_mutex_unlock(&table.lock);
	fuse_reply_attr(req, &attr, timeout_s);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *set, int to_set,
		       struct fuse_file_info *fi)
{
	struct node *n = node_of(ino);
	struct stat attr;
	int r = 0;

	(void)fi;
	pthread_mutex_lock(&table.lock);
	if (to_set & FUSE_SET_ATTR_SIZE)
		r = node_resize(n, (size_t)set->st_size);
	if (to_set & FUSE_SET_ATTR_MODE)
		n->attr.st_mode = set->st_mode;
	attr = n->attr;
	pthread_mutex_unlock(&table.lock);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &attr, timeout_s);
}

/* CREATE if @fi is given, else MKDIR and MKNOD. */
static void make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		 struct fuse_file_info *fi)
{
	struct fuse_entry_param entry;
	struct node *n;
	int r;

	pthread_mutex_lock(&table.lock);
	r = table_make(node_of(parent), name, mode, fuse_req_ctx(req), &n);
	if (r == 0)
		entry_of(n, &entry);
	pthread_mutex_unlock(&table.lock);
	if (r < 0) {
		fuse_reply_err(req, -r);
	} else if (fi) {
		open_flags(fi);
		fuse_reply_create(req, &entry, fi);
	} else {
		fuse_reply_entry(req, &entry);
	}
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	(void)rdev;
	make(req, parent, name, mode, NULL);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make(req, parent, name, (mode & ~(mode_t)S_IFMT) | S_IFDIR, NULL);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	make(req, parent, name, (mode & ~(mode_t)S_IFMT) | S_IFREG, fi);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct node *n;
	int r = 0;

	pthread_mutex_lock(&table.lock);
	n = table_find(node_of(parent), name);
	if (!n)
		r = ENOENT;
	else if (n->children)
		r = ENOTEMPTY;
	else
		table_unlink(n);
	pthread_mutex_unlock(&table.lock);
	fuse_reply_err(req, r);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	open_flags(fi);
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t bytes, off_t offset,
		    struct fuse_file_info *fi)
{
	struct node *n = node_of(ino);
	size_t room = 0;
	char *copy;

	(void)fi;
	pthread_mutex_lock(&table.lock);
	if (offset < n->attr.st_size)
		room = (size_t)zn_min_u64((uint64_t)(n->attr.st_size - offset), bytes);
	copy = malloc(room + 1);
	if (copy && room > 0)
		memcpy(copy, n->data + offset, room);
	pthread_mutex_unlock(&table.lock);
	if (copy)
		fuse_reply_buf(req, copy, room);
	else
		fuse_reply_err(req, ENOMEM);
	free(copy);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t bytes, off_t offset,
		     struct fuse_file_info *fi)
{
	struct node *n = node_of(ino);
	size_t end = (size_t)offset + bytes;
	int r = 0;

	(void)fi;
	pthread_mutex_lock(&table.lock);
	if (end > (size_t)n->attr.st_size)
		r = node_resize(n, end);
	if (r == 0)
		memcpy(n->data + offset, data, bytes);
	pthread_mutex_unlock(&table.lock);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_write(req, bytes);
}

static void op_ok(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	op_ok(req, ino, fi);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t bytes, off_t offset,
		       struct fuse_file_info *fi)
{
	char *buffer = malloc(bytes);
	size_t used = 0, need;
	struct node *n;

	(void)fi;
	if (!buffer) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	pthread_mutex_lock(&table.lock);
	for (n = node_of(ino)->children; n; n = n->next) {
		if (offset != 0 && n->serial >= (uint64_t)offset)
			continue;
		need = fuse_add_direntry(req, buffer + used, bytes - used, n->name, &n->attr,
					 (off_t)n->serial);
		if (need > bytes - used)
			break;
		used += need;
	}
	pthread_mutex_unlock(&table.lock);
	fuse_reply_buf(req, buffer, used);
	free(buffer);
}

/* The kernel asks for security.capability before it truncates; only ENOSYS would make it stop. */
static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t bytes)
{
	(void)ino;
	(void)name;
	(void)bytes;
	fuse_reply_err(req, ENODATA);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = { .f_namemax = 255, .f_bsize = 4096, .f_frsize = 4096 };

	(void)ino;
	fuse_reply_statfs(req, &st);
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.create = op_create,
	.unlink = op_unlink,
	.rmdir = op_unlink,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_ok,
	.release = op_ok,
	.fsync = op_fsync,
	.opendir = op_open,
	.readdir = op_readdir,
	.releasedir = op_ok,
	.fsyncdir = op_fsync,
	.statfs = op_statfs,
	.getxattr = op_getxattr,
};

/* ---- the session ---- */

static ssize_t io_read(int fd, void *buffer, size_t bytes, void *userdata)
{
	ssize_t n = read(fd, buffer, bytes);
	const struct fuse_in_header *in = buffer;

	(void)userdata;
	if (n >= (ssize_t)sizeof(*in) && in->opcode < OPCODES)
		atomic_fetch_add_explicit(&requests[in->opcode], 1, memory_order_relaxed);
	return n;
}

/* libfuse 3.14 forgets to ask for PARALLEL_DIROPS: put it into the reply to INIT, the first one. */
static ssize_t io_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	static atomic_bool patched;
	struct fuse_init_out *out;

	(void)userdata;
	if (!atomic_load_explicit(&patched, memory_order_relaxed) && count == 2 &&
	    iov[1].iov_len == sizeof(*out)) {
		out = iov[1].iov_base;
		out->flags |= FUSE_PARALLEL_DIROPS;
		atomic_store(&patched, true);
	}
	return writev(fd, iov, count);
}

static void *serve(void *arg)
{
	struct fuse_buf buf = { .mem = NULL };

	(void)arg;
	while (!fuse_session_exited(session)) {
		int r = fuse_session_receive_buf(session, &buf);

		if (r > 0)
			fuse_session_process_buf(session, &buf);
		else if (r != -EINTR)
			break;
	}
	free(buf.mem);
	(void)kill(getpid(), SIGTERM); /* unmounted: wake main() */
	return NULL;
}

static void print_requests(void)
{
	static const char *const names[OPCODES] = {
		[FUSE_LOOKUP] = "lookup",     [FUSE_FORGET] = "forget",
		[FUSE_GETATTR] = "getattr",   [FUSE_SETATTR] = "setattr",
		[FUSE_MKDIR] = "mkdir",       [FUSE_UNLINK] = "unlink",
		[FUSE_RMDIR] = "rmdir",       [FUSE_OPEN] = "open",
		[FUSE_READ] = "read",         [FUSE_WRITE] = "write",
		[FUSE_RELEASE] = "release",   [FUSE_FSYNC] = "fsync",
		[FUSE_FLUSH] = "flush",       [FUSE_CREATE] = "create",
		[FUSE_GETXATTR] = "getxattr", [FUSE_BATCH_FORGET] = "batch_forget",
	};

	fputs("requests", stdout);
	for (unsigned i = 0; i < OPCODES; i++) {
		if (names[i] && requests[i] > 0)
			printf(" %s=%llu", names[i], (unsigned long long)requests[i]);
	}
	putchar('\n');
}

static int run(const char *mountpoint, unsigned threads_count)
{
	static const struct fuse_custom_io io = { .read = io_read, .writev = io_writev };
	pthread_t threads[THREADS_MAX];
	unsigned started = 0;
	sigset_t stop;
	int signal;

	if (fuse_session_mount(session, mountpoint) != 0)
		return 1;
	if (fuse_session_custom_io(session, &io, fuse_session_fd(session)) != 0) {
		fuse_session_unmount(session);
		return 1;
	}
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	while (started < threads_count && pthread_create(&threads[started], NULL, serve, NULL) == 0)
		started++;
	if (started == threads_count)
		(void)sigwait(&stop, &signal);
	fuse_session_unmount(session); /* makes every read return ENODEV */
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	print_requests();
	return started < threads_count;
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	unsigned threads_count = 3;
	int c, r;

	while ((c = getopt(argc, argv, "t:T:")) != -1) {
		if (c == 't')
			threads_count = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'T')
			timeout_s = strtod(optarg, NULL);
		else
			return 2;
	}
	if (argc - optind != 1 || threads_count < 1 || threads_count > THREADS_MAX) {
		fputs("usage: nullfs [-t THREADS] [-T SECONDS] MOUNTPOINT\n", stderr);
		return 2;
	}
	table.root.attr = (struct stat){ .st_ino = 1, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
	table.root.lookups = 1;
	if (fuse_opt_add_arg(&args, "nullfs") < 0 ||
	    fuse_opt_add_arg(&args, "-odefault_permissions,allow_other,fsname=nullfs") < 0)
		return 1;
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (!session)
		return 1;
	r = run(argv[optind], threads_count);
	fuse_session_destroy(session);
	fuse_opt_free_args(&args);
	return r;
}
