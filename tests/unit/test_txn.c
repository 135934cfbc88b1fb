/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules: what each operation refuses, and what it changes. The tree of every test:
 *   /dir/ /dir/sub/ /dir/sub/deep   /empty/   /file "data"   /link -> x   /fifo   /setgid/ (2775, gid 9)
 *   /full/ (a directory with data)  and an unlinked file that is held
 */
#include "support.h"

#include <errno.h>
#include <sys/stat.h>

#include "txn.h"

enum { DIR = 2, SUB, DEEP, EMPTY, FILE_ID, LINK, FIFO, SETGID, FULL, GONE, NEXT };

static struct tree tree;
static struct undo undo;
static uint64_t zxid;
static int64_t now;

static char long_name[257];
static char long_target[ZN_SYMLINK_BYTES_MAX + 1];

static int apply_all(struct zn_op *ops, unsigned count)
{
	struct txn txn = { .zxid = zxid + 1, .time_ns = ++now, .ops = ops, .ops_count = count };
	uint64_t seen;
	int r = txn_apply(&tree, &txn, &undo, txn.zxid, &seen);

	assert_true(seen <= zxid);
	if (r == 0)
		zxid++;
	tree_check(&tree);
	return r;
}

static int apply(struct zn_op op)
{
	return apply_all(&op, 1);
}

#define OP(...) AT(ZN_ANY_VERSION, __VA_ARGS__)
#define AT(n, ...) apply((struct zn_op){ .version = n, __VA_ARGS__ })

static int create(uint64_t parent, const char *name, uint32_t mode, const char *data)
{
	return OP(.type = ZN_OP_CREATE, .parent = parent, .name = zb(name), .mode = mode,
		  .data = zb(data), .uid = 5, .gid = 6);
}

static struct zn_stat stat_of(uint64_t id)
{
	struct zn_stat stat;

	node_stat(tree_find(&tree, id), &stat);
	return stat;
}

static int setup(void **unused)
{
	(void)unused;
	memset(long_name, 'n', sizeof(long_name) - 1);
	memset(long_target, 't', sizeof(long_target));
	zxid = 100;
	now = 1000;
	undo_init(&undo);
	assert_int_equal(tree_init(&tree, 1), 0);
	tree.data_max = 1000;
	assert_int_equal(create(1, "dir", S_IFDIR | 0755, ""), 0);
	assert_int_equal(create(DIR, "sub", S_IFDIR | 0755, ""), 0);
	assert_int_equal(create(SUB, "deep", S_IFREG | 0644, ""), 0);
	assert_int_equal(create(1, "empty", S_IFDIR | 0755, ""), 0);
	assert_int_equal(create(1, "file", S_IFREG | 06777, "data"), 0);
	assert_int_equal(create(1, "link", S_IFLNK | 0777, "x"), 0);
	assert_int_equal(create(1, "fifo", S_IFIFO | 0644, ""), 0);
	assert_int_equal(OP(.type = ZN_OP_CREATE, .parent = 1, .name = zb("setgid"),
			    .mode = S_IFDIR | 02775, .gid = 9),
			 0);
	assert_int_equal(create(1, "full", S_IFDIR | 0755, "data"), 0);
	assert_int_equal(create(1, "gone", S_IFREG | 0644, "held"), 0);
	tree_find(&tree, GONE)->refs = 1;
	assert_int_equal(OP(.type = ZN_OP_DELETE, .parent = 1, .name = zb("gone")), 0);
	assert_int_equal(tree.next_id, NEXT);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	undo_fini(&undo, &tree);
	tree_fini(&tree);
	return 0;
}

struct rule {
	const char *name;
	int result;
	struct zn_op op;
};

/* Arguments are initializers, which parentheses would spoil. NOLINTBEGIN(bugprone-macro-parentheses) */
#define CREATE(id, nm, md, ...) \
	{ \
		.type = ZN_OP_CREATE, .parent = id, .name = nm, .mode = md, __VA_ARGS__ \
	}
#define SET(i, ...) \
	{ \
		.type = ZN_OP_SET, .id = i, .version = ZN_ANY_VERSION, __VA_ARGS__ \
	}
#define WRITE(i, ...) \
	{ \
		.type = ZN_OP_WRITE, .id = i, .version = ZN_ANY_VERSION, __VA_ARGS__ \
	}
#define TRUNCATE(i, n) \
	{ \
		.type = ZN_OP_TRUNCATE, .id = i, .version = ZN_ANY_VERSION, .offset = n \
	}
#define DELETE(id, nm, ...) \
	{ \
		.type = ZN_OP_DELETE, .parent = id, .name = nm, .version = ZN_ANY_VERSION, \
		__VA_ARGS__ \
	}
#define RENAME(p, n, np, nn, fl) \
	{ \
		.type = ZN_OP_RENAME, .parent = p, .name = n, .new_parent = np, .new_name = nn, \
		.flags = fl \
	}
#define LINKOP(i, np, nn) \
	{ \
		.type = ZN_OP_LINK, .id = i, .new_parent = np, .new_name = nn \
	}
#define XATTR(i, n, fl) \
	{ \
		.type = ZN_OP_SETXATTR, .id = i, .name = n, .flags = fl, .data = N("v") \
	}
#define N(text) \
	{ \
		text, sizeof(text) - 1 \
	}
#define NAME255 \
	{ \
		long_name, 255 \
	}
#define NAME256 \
	{ \
		long_name, 256 \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

static const struct rule rules[] = {
	{ "create: an existing name is EEXIST", -EEXIST, CREATE(1, N("file"), S_IFREG) },
	{ "create: in what is not there is ENOENT", -ENOENT, CREATE(999, N("x"), S_IFREG) },
	{ "create: in a file is ENOTDIR", -ENOTDIR, CREATE(FILE_ID, N("x"), S_IFREG) },
	{ "create: 256 bytes are ENAMETOOLONG", -ENAMETOOLONG, CREATE(1, NAME256, S_IFREG) },
	{ "create: 255 bytes are a name", 0, CREATE(1, NAME255, S_IFREG) },
	{ "create: no name is ENOENT", -ENOENT, CREATE(1, N(""), S_IFREG) },
	{ "create: dot is EINVAL", -EINVAL, CREATE(1, N("."), S_IFREG) },
	{ "create: dot dot is EINVAL", -EINVAL, CREATE(1, N(".."), S_IFREG) },
	{ "create: a slash is EINVAL", -EINVAL, CREATE(1, N("a/b"), S_IFREG) },
	{ "create: a zero byte is EINVAL", -EINVAL, CREATE(1, N("a\0b"), S_IFREG) },
	{ "create: three dots are a name", 0, CREATE(1, N("..."), S_IFREG) },
	{ "create: no type is EINVAL", -EINVAL, CREATE(1, N("x"), 0644) },
	{ "create: two types are EINVAL", -EINVAL, CREATE(1, N("x"), S_IFMT) },
	{ "create: a symlink to nothing is ENOENT", -ENOENT, CREATE(1, N("x"), S_IFLNK) },
	{ "create: a long target is ENAMETOOLONG", -ENAMETOOLONG,
	  CREATE(1, N("x"), S_IFLNK, .data = { long_target, sizeof(long_target) }) },
	{ "create: a FIFO with data is EINVAL", -EINVAL,
	  CREATE(1, N("x"), S_IFIFO, .data = N("d")) },
	{ "create: a device number of more than 32 bits is EINVAL", -EINVAL,
	  CREATE(1, N("x"), S_IFCHR, .rdev = UINT64_C(1) << 32) },
	{ "create: too much data is EFBIG", -EFBIG,
	  CREATE(1, N("x"), S_IFREG, .data = { long_target, 1001 }) },
	{ "create: the most data there may be", 0,
	  CREATE(1, N("x"), S_IFREG, .data = { long_target, 1000 }) },
	{ "set: no such node is ENOENT", -ENOENT, SET(999) },
	{ "set: a symlink is EINVAL", -EINVAL, SET(LINK) },
	{ "set: a FIFO is EINVAL", -EINVAL, SET(FIFO) },
	{ "set: an unlinked node is ENOENT when it is logged", -ENOENT, SET(GONE) },
	{ "set: too much is EFBIG", -EFBIG, SET(FILE_ID, .data = { long_target, 1001 }) },
	{ "set: a directory has data", 0, SET(DIR, .data = N("x")) },
	{ "write: past the limit is EFBIG", -EFBIG,
	  WRITE(FILE_ID, .offset = 998, .data = N("abc")) },
	{ "write: up to the limit", 0, WRITE(FILE_ID, .offset = 997, .data = N("abc")) },
	{ "write: at an offset that overflows is EFBIG", -EFBIG,
	  WRITE(FILE_ID, .offset = UINT64_MAX, .data = N("abc")) },
	{ "write: a symlink is EINVAL", -EINVAL, WRITE(LINK, .data = N("abc")) },
	{ "truncate: past the limit is EFBIG", -EFBIG, TRUNCATE(FILE_ID, 1001) },
	{ "truncate: up to the limit", 0, TRUNCATE(FILE_ID, 1000) },
	{ "truncate: no such node is ENOENT", -ENOENT, TRUNCATE(999, 0) },
	{ "delete: no such name is ENOENT", -ENOENT, DELETE(1, N("none")) },
	{ "delete: in no directory is ENOENT", -ENOENT, DELETE(999, N("none")) },
	{ "delete: in a file is ENOTDIR", -ENOTDIR, DELETE(FILE_ID, N("none")) },
	{ "delete: 256 bytes are ENAMETOOLONG", -ENAMETOOLONG, DELETE(1, NAME256) },
	{ "delete: a directory as a file is EISDIR", -EISDIR,
	  DELETE(1, N("empty"), .flags = ZN_DELETE_FILE) },
	{ "delete: a file as a directory is ENOTDIR", -ENOTDIR,
	  DELETE(1, N("file"), .flags = ZN_DELETE_DIR) },
	{ "delete: a directory with entries is ENOTEMPTY", -ENOTEMPTY, DELETE(1, N("dir")) },
	{ "delete: a directory with data is ENOTEMPTY", -ENOTEMPTY, DELETE(1, N("full")) },
	{ "delete: an empty directory goes", 0, DELETE(1, N("empty"), .flags = ZN_DELETE_DIR) },
	{ "delete: a symlink goes as a file", 0, DELETE(1, N("link"), .flags = ZN_DELETE_FILE) },
	{ "rename: no such name is ENOENT", -ENOENT, RENAME(1, N("none"), 1, N("x"), 0) },
	{ "rename: from no directory is ENOENT", -ENOENT, RENAME(999, N("x"), 1, N("x"), 0) },
	{ "rename: to no directory is ENOENT", -ENOENT, RENAME(1, N("file"), 999, N("x"), 0) },
	{ "rename: from a file is ENOTDIR", -ENOTDIR, RENAME(FILE_ID, N("x"), 1, N("x"), 0) },
	{ "rename: to a file is ENOTDIR", -ENOTDIR, RENAME(1, N("file"), LINK, N("x"), 0) },
	{ "rename: to a bad name is EINVAL", -EINVAL, RENAME(1, N("file"), 1, N(".."), 0) },
	{ "rename: to a long name is ENAMETOOLONG", -ENAMETOOLONG,
	  RENAME(1, N("file"), 1, NAME256, 0) },
	{ "rename: a directory into itself is EINVAL", -EINVAL,
	  RENAME(1, N("dir"), DIR, N("x"), 0) },
	{ "rename: a directory below itself is EINVAL", -EINVAL,
	  RENAME(1, N("dir"), SUB, N("x"), 0) },
	{ "rename: a directory over its own grandchild is EINVAL", -EINVAL,
	  RENAME(1, N("dir"), SUB, N("deep"), 0) },
	{ "rename: over an ancestor is ENOTEMPTY", -ENOTEMPTY,
	  RENAME(DIR, N("sub"), 1, N("dir"), 0) },
	{ "rename: a file over an ancestor is EISDIR", -EISDIR,
	  RENAME(SUB, N("deep"), 1, N("dir"), 0) },
	{ "rename: a file over a directory is EISDIR", -EISDIR,
	  RENAME(1, N("file"), 1, N("empty"), 0) },
	{ "rename: a directory over a file is ENOTDIR", -ENOTDIR,
	  RENAME(1, N("empty"), 1, N("file"), 0) },
	{ "rename: over a directory with entries is ENOTEMPTY", -ENOTEMPTY,
	  RENAME(1, N("empty"), 1, N("dir"), 0) },
	{ "rename: over a directory with data is ENOTEMPTY", -ENOTEMPTY,
	  RENAME(1, N("empty"), 1, N("full"), 0) },
	{ "rename: over an empty directory", 0, RENAME(1, N("dir"), 1, N("empty"), 0) },
	{ "rename: over a file", 0, RENAME(1, N("file"), 1, N("link"), 0) },
	{ "rename: to itself", 0, RENAME(1, N("file"), 1, N("file"), 0) },
	{ "rename: NOREPLACE over something is EEXIST", -EEXIST,
	  RENAME(1, N("file"), 1, N("link"), ZN_RENAME_NOREPLACE) },
	{ "rename: NOREPLACE to itself is EEXIST", -EEXIST,
	  RENAME(1, N("file"), 1, N("file"), ZN_RENAME_NOREPLACE) },
	{ "rename: NOREPLACE to a new name", 0,
	  RENAME(1, N("file"), 1, N("x"), ZN_RENAME_NOREPLACE) },
	{ "rename: EXCHANGE with nothing is ENOENT", -ENOENT,
	  RENAME(1, N("file"), 1, N("x"), ZN_RENAME_EXCHANGE) },
	{ "rename: EXCHANGE and NOREPLACE are EINVAL", -EINVAL,
	  RENAME(1, N("file"), 1, N("link"), ZN_RENAME_EXCHANGE | ZN_RENAME_NOREPLACE) },
	{ "rename: EXCHANGE of a directory and what is below it is EINVAL", -EINVAL,
	  RENAME(1, N("dir"), SUB, N("deep"), ZN_RENAME_EXCHANGE) },
	{ "rename: EXCHANGE with one's own ancestor is EINVAL", -EINVAL,
	  RENAME(SUB, N("deep"), 1, N("dir"), ZN_RENAME_EXCHANGE) },
	{ "rename: EXCHANGE of a file and a full directory", 0,
	  RENAME(1, N("file"), 1, N("dir"), ZN_RENAME_EXCHANGE) },
	{ "link: no such node is ENOENT", -ENOENT, LINKOP(999, 1, N("x")) },
	{ "link: an unlinked node is ENOENT", -ENOENT, LINKOP(GONE, 1, N("x")) },
	{ "link: a directory is EPERM", -EPERM, LINKOP(DIR, 1, N("x")) },
	{ "link: an existing name is EEXIST", -EEXIST, LINKOP(FILE_ID, 1, N("link")) },
	{ "link: in a file is ENOTDIR", -ENOTDIR, LINKOP(FILE_ID, FIFO, N("x")) },
	{ "link: in no directory is ENOENT", -ENOENT, LINKOP(FILE_ID, 999, N("x")) },
	{ "link: a bad name is EINVAL", -EINVAL, LINKOP(FILE_ID, 1, N("a/b")) },
	{ "link: a symlink can have two names", 0, LINKOP(LINK, DIR, N("x")) },
	{ "setattr: no such node is ENOENT", -ENOENT, { .type = ZN_OP_SETATTR, .id = 999 } },
	{ "setxattr: no such node is ENOENT", -ENOENT, XATTR(999, N("user.a"), 0) },
	{ "setxattr: no name is ERANGE", -ERANGE, XATTR(FILE_ID, N(""), 0) },
	{ "setxattr: 256 bytes are ERANGE", -ERANGE, XATTR(FILE_ID, NAME256, 0) },
	{ "setxattr: REPLACE of none is ENODATA", -ENODATA,
	  XATTR(FILE_ID, N("user.a"), ZN_XATTR_REPLACE) },
	{ "setxattr: a large value is E2BIG",
	  -E2BIG,
	  { .type = ZN_OP_SETXATTR,
	    .id = FILE_ID,
	    .name = N("user.a"),
	    .data = { "", ZN_XATTR_VALUE_BYTES_MAX + 1 } } },
	{ "removexattr: none is ENODATA",
	  -ENODATA,
	  { .type = ZN_OP_REMOVEXATTR, .id = FILE_ID, .name = N("user.a") } },
	{ "removexattr: no such node is ENOENT",
	  -ENOENT,
	  { .type = ZN_OP_REMOVEXATTR, .id = 999, .name = N("user.a") } },
	{ "an unknown operation is EINVAL", -EINVAL, { .type = (enum zn_op_type)50 } },
};

/* All that can be seen of the tree, in one number. */
static uint64_t tree_picture(void)
{
	uint64_t picture = tree.memory * 31 + tree.nodes.count;

	for (uint64_t id = 1; id < tree.next_id + 10; id++) {
		struct zn_stat stat;
		const unsigned char *p = (const unsigned char *)&stat;

		if (!tree_find(&tree, id))
			continue;
		node_stat(tree_find(&tree, id), &stat);
		for (size_t i = 0; i < sizeof(stat); i++)
			picture = (picture ^ p[i]) * UINT64_C(0x100000001b3);
	}
	return picture;
}

/* A refusal leaves no trace; a success can be taken back without one. */
static void rule_holds(void **state)
{
	const struct rule *rule = *state;
	struct undo_mark mark = undo_mark(&undo);
	uint64_t before = tree_picture(), next_id = tree.next_id;

	assert_int_equal(apply(rule->op), rule->result);
	if (rule->result == 0) {
		undo_revert_to(&undo, &tree, mark);
		tree.next_id = next_id;
	}
	assert_int_equal(tree_picture(), before);
	tree_check(&tree);
}

static void wrong_version_is_stale(void **unused)
{
	(void)unused;
	assert_int_equal(AT(1, .type = ZN_OP_SET, .id = FILE_ID), -ESTALE);
	assert_int_equal(AT(1, .type = ZN_OP_WRITE, .id = FILE_ID), -ESTALE);
	assert_int_equal(AT(1, .type = ZN_OP_TRUNCATE, .id = FILE_ID), -ESTALE);
	assert_int_equal(AT(1, .type = ZN_OP_DELETE, .parent = 1, .name = zb("file")), -ESTALE);
	assert_int_equal(AT(0, .type = ZN_OP_SET, .id = FILE_ID), 0);
	assert_int_equal(AT(0, .type = ZN_OP_SET, .id = FILE_ID), -ESTALE);
	assert_int_equal(AT(1, .type = ZN_OP_DELETE, .parent = 1, .name = zb("file")), 0);
}

static void creation_sets_every_field(void **unused)
{
	struct zn_stat s, parent;

	(void)unused;
	assert_int_equal(create(EMPTY, "new", S_IFREG | 0640, "12345"), 0);
	s = stat_of(NEXT);
	parent = stat_of(EMPTY);
	assert_int_equal(s.czxid, zxid);
	assert_int_equal(s.mzxid, zxid);
	assert_int_equal(s.pzxid, zxid);
	assert_int_equal(s.birth_ns, now);
	assert_int_equal(s.data_ns, now);
	assert_int_equal(s.atime_ns, now);
	assert_int_equal(s.mtime_ns, now);
	assert_int_equal(s.ctime_ns, now);
	assert_int_equal(s.version, 0);
	assert_int_equal(s.data_bytes, 5);
	assert_int_equal(s.mode, S_IFREG | 0640);
	assert_int_equal(s.uid, 5);
	assert_int_equal(s.gid, 6);
	assert_int_equal(s.nlink, 1);
	assert_int_equal(parent.cversion, 1);
	assert_int_equal(parent.pzxid, zxid);
	assert_int_equal(parent.mtime_ns, now);
	assert_int_equal(parent.ctime_ns, now);
	assert_int_equal(parent.version, 0);
	assert_int_equal(parent.children_count, 1);
	assert_int_equal(parent.nlink, 2);
}

static void data_changes_count_as_such(void **unused)
{
	struct zn_stat s;

	(void)unused;
	assert_int_equal(
		OP(.type = ZN_OP_WRITE, .id = FILE_ID, .flags = ZN_WRITE_APPEND, .data = zb("++")),
		0);
	s = stat_of(FILE_ID);
	assert_int_equal(s.version, 1);
	assert_int_equal(s.mzxid, zxid);
	assert_int_equal(s.data_ns, now);
	assert_int_equal(s.mtime_ns, now);
	assert_int_equal(s.ctime_ns, now);
	assert_int_equal(s.data_bytes, 6);
	assert_int_equal(s.aversion, 0);
	assert_int_equal(s.mode & 07000, 06000);
	assert_true(s.pzxid < zxid);
	assert_int_equal(
		OP(.type = ZN_OP_TRUNCATE, .id = FILE_ID, .offset = 2, .flags = ZN_CLEAR_SETID), 0);
	s = stat_of(FILE_ID);
	assert_int_equal(s.version, 2);
	assert_int_equal(s.data_bytes, 2);
	assert_int_equal(s.mode & 07000, 0);
}

static void data_of_a_directory_leave_its_mtime(void **unused)
{
	struct zn_stat before = stat_of(DIR), s;

	(void)unused;
	assert_int_equal(OP(.type = ZN_OP_SET, .id = DIR, .data = zb("x")), 0);
	s = stat_of(DIR);
	assert_int_equal(s.mtime_ns, before.mtime_ns);
	assert_int_equal(s.data_ns, now);
	assert_int_equal(s.version, 1);
	assert_int_equal(s.cversion, before.cversion);
	assert_int_equal(s.pzxid, before.pzxid);
}

static void setattr_counts_mode_and_owner_only(void **unused)
{
	struct zn_stat s;

	(void)unused;
	assert_int_equal(OP(.type = ZN_OP_SETATTR, .id = FILE_ID, .flags = ZN_SET_MODE,
			    .mode = S_IFDIR | 0600),
			 0);
	s = stat_of(FILE_ID);
	assert_int_equal(s.mode, S_IFREG | 0600);
	assert_int_equal(s.aversion, 1);
	assert_int_equal(s.version, 0);
	assert_int_equal(OP(.type = ZN_OP_SETATTR, .id = FILE_ID,
			    .flags = ZN_SET_ATIME | ZN_SET_MTIME_NOW, .atime_ns = -7),
			 0);
	s = stat_of(FILE_ID);
	assert_int_equal(s.atime_ns, -7);
	assert_int_equal(s.mtime_ns, now);
	assert_int_equal(s.ctime_ns, now);
	assert_int_equal(s.aversion, 1);
	assert_int_equal(OP(.type = ZN_OP_SETATTR, .id = FILE_ID, .flags = ZN_SET_CTIME), 0);
	assert_int_equal(stat_of(FILE_ID).ctime_ns, now);
	assert_int_equal(stat_of(FILE_ID).aversion, 1);
	assert_int_equal(OP(.type = ZN_OP_SETATTR, .id = FILE_ID, .flags = ZN_SET_UID | ZN_SET_GID,
			    .uid = 1, .gid = 2),
			 0);
	assert_int_equal(stat_of(FILE_ID).uid, 1);
	assert_int_equal(stat_of(FILE_ID).gid, 2);
	assert_int_equal(stat_of(FILE_ID).aversion, 2);
}

static void setgid_directory_hands_on_its_group(void **unused)
{
	(void)unused;
	assert_int_equal(create(SETGID, "f", S_IFREG | 0644, ""), 0);
	assert_int_equal(create(SETGID, "d", S_IFDIR | 0755, ""), 0);
	assert_int_equal(stat_of(NEXT).gid, 9);
	assert_int_equal(stat_of(NEXT).mode, S_IFREG | 0644);
	assert_int_equal(stat_of(NEXT + 1).gid, 9);
	assert_int_equal(stat_of(NEXT + 1).mode, S_IFDIR | 02755);
}

static void exchange_swaps_and_moves_link_counts(void **unused)
{
	struct zn_stat root = stat_of(1), dir = stat_of(DIR);

	(void)unused;
	assert_int_equal(
		apply((struct zn_op)RENAME(1, N("file"), DIR, N("sub"), ZN_RENAME_EXCHANGE)), 0);
	assert_int_equal(node_id(tree_lookup(&tree, tree.root, zb("file"))->node), SUB);
	assert_int_equal(node_id(tree_lookup(&tree, tree_find(&tree, DIR), zb("sub"))->node),
			 FILE_ID);
	assert_int_equal(stat_of(1).nlink, root.nlink + 1);
	assert_int_equal(stat_of(DIR).nlink, dir.nlink - 1);
	assert_int_equal(stat_of(1).cversion, root.cversion + 1);
	assert_int_equal(stat_of(DIR).cversion, dir.cversion + 1);
	assert_int_equal(stat_of(DIR).pzxid, zxid);
	assert_int_equal(stat_of(FILE_ID).ctime_ns, now);
	assert_int_equal(stat_of(FILE_ID).version, 0);
}

static void rename_keeps_the_node_and_its_version(void **unused)
{
	struct zn_stat before = stat_of(FILE_ID), s;

	(void)unused;
	assert_int_equal(apply((struct zn_op)RENAME(1, N("file"), DIR, N("moved"), 0)), 0);
	s = stat_of(FILE_ID);
	assert_int_equal(s.version, before.version);
	assert_int_equal(s.mzxid, before.mzxid);
	assert_int_equal(s.czxid, before.czxid);
	assert_int_equal(s.ctime_ns, now);
	assert_int_equal(s.mtime_ns, before.mtime_ns);
	assert_int_equal(stat_of(1).pzxid, zxid);
	assert_int_equal(stat_of(DIR).pzxid, zxid);
}

static void two_names_of_one_file_rename_to_nothing(void **unused)
{
	uint64_t before;

	(void)unused;
	assert_int_equal(apply((struct zn_op)LINKOP(FILE_ID, 1, N("other"))), 0);
	assert_int_equal(stat_of(FILE_ID).nlink, 2);
	before = tree_picture();
	assert_int_equal(apply((struct zn_op)RENAME(1, N("file"), 1, N("other"), 0)), 0);
	assert_int_equal(tree_picture(), before);
}

static void link_count_is_bounded(void **unused)
{
	(void)unused;
	tree_find(&tree, FILE_ID)->nlink = ZN_LINK_MAX;
	{
		struct zn_op op = LINKOP(FILE_ID, 1, N("other"));
		struct txn txn = { .zxid = zxid + 1, .ops = &op, .ops_count = 1 };
		uint64_t seen;

		assert_int_equal(txn_apply(&tree, &txn, &undo, txn.zxid, &seen), -EMLINK);
	}
	tree_find(&tree, FILE_ID)->nlink = 1;
}

static void unlinked_node_changes_by_a_volatile_transaction(void **unused)
{
	struct zn_op op = SET(GONE, .data = N("new"));
	struct txn txn = { .ops = &op, .ops_count = 1, .is_volatile = true };
	struct node *node = txn_volatile_node(&tree, &txn);
	uint64_t seen;

	(void)unused;
	assert_ptr_equal(node, tree_find(&tree, GONE));
	txn.zxid = node->changed_zxid;
	assert_int_equal(txn_apply(&tree, &txn, &undo, zxid, &seen), 0);
	assert_int_equal(stat_of(GONE).data_bytes, 3);
	op.id = FILE_ID;
	assert_null(txn_volatile_node(&tree, &txn));
	op.id = 999;
	assert_null(txn_volatile_node(&tree, &txn));
}

static void forgotten_unlinked_node_is_gone(void **unused)
{
	(void)unused;
	txn_forget(&tree, &undo, zxid, tree_find(&tree, GONE), 1);
	assert_null(tree_find(&tree, GONE));
	tree_check(&tree);
}

static void several_operations_are_all_or_none(void **unused)
{
	struct zn_op ops[] = {
		CREATE(DIR, N("a"), S_IFREG | 0644, .data = N("1")),
		RENAME(DIR, N("a"), 1, N("link"), 0),
		SET(FILE_ID, .data = N("other")),
		{ .type = ZN_OP_SETXATTR, .id = FILE_ID, .name = N("user.a"), .data = N("v") },
		DELETE(1, N("empty")),
		DELETE(1, N("dir")), /* not empty */
	};
	uint64_t before = tree_picture(), next_id = tree.next_id;

	(void)unused;
	assert_int_equal(apply_all(ops, ARRAY_SIZE(ops)), -ENOTEMPTY);
	assert_int_equal(tree_picture(), before);
	assert_int_equal(tree.next_id, next_id);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		ops[i].id = ops[i].type == ZN_OP_CREATE ? 0 : ops[i].id;
	assert_int_equal(apply_all(ops, ARRAY_SIZE(ops) - 1), 0);
	assert_int_equal(stat_of(ops[0].id).czxid, zxid);
	assert_int_equal(stat_of(FILE_ID).mzxid, zxid);
	assert_null(tree_find(&tree, LINK));
	assert_null(tree_find(&tree, EMPTY));
}

static void memory_limit_refuses_growth_only(void **unused)
{
	(void)unused;
	tree.memory_max = tree.memory;
	assert_int_equal(create(1, "x", S_IFREG, ""), -ENOSPC);
	assert_int_equal(OP(.type = ZN_OP_SET, .id = FILE_ID, .data = zb("longer than before")),
			 -ENOSPC);
	assert_int_equal(apply((struct zn_op)LINKOP(FILE_ID, 1, N("x"))), -ENOSPC);
	assert_int_equal(apply((struct zn_op)XATTR(FILE_ID, N("user.a"), 0)), -ENOSPC);
	assert_int_equal(OP(.type = ZN_OP_SET, .id = FILE_ID, .data = zb("dat")), 0);
	assert_int_equal(OP(.type = ZN_OP_TRUNCATE, .id = FILE_ID, .offset = 0), 0);
	assert_int_equal(OP(.type = ZN_OP_DELETE, .parent = 1, .name = zb("file")), 0);
}

/* Random transactions, then everything taken back: the tree is what it was. */
static void reverting_everything_gives_the_exact_state_back(void **unused)
{
	uint64_t before, next_id;
	struct undo_mark none = { NULL, 0 };

	(void)unused;
	undo_drop(&undo, &tree, zxid);
	before = tree_picture();
	next_id = tree.next_id;
	for (int round = 0; round < 2000; round++) {
		static const char *const names[] = { "dir", "sub", "file", "link",
						     "a",   "b",   "c",    "empty" };
		struct zn_op ops[3];
		unsigned count = 1 + test_below(3);

		for (unsigned i = 0; i < count; i++) {
			ops[i] = (struct zn_op){
				.type = (enum zn_op_type)(1 + test_below(10)),
				.id = 1 + test_below((unsigned)tree.next_id),
				.parent = 1 + test_below(EMPTY),
				.new_parent = 1 + test_below(EMPTY),
				.name = zb(names[test_below(8)]),
				.new_name = zb(names[test_below(8)]),
				.data = { long_target, test_below(900) },
				.offset = test_below(900),
				.mode = (test_below(2) ? S_IFREG : S_IFDIR) | 0644,
				.flags = test_below(1 << 16),
				.version = ZN_ANY_VERSION,
			};
			if (ops[i].type == ZN_OP_CREATE)
				ops[i].id = 0;
		}
		(void)apply_all(ops, count);
	}
	assert_true(zxid > 150);
	undo_revert_to(&undo, &tree, none);
	tree_check(&tree);
	tree.next_id = next_id;
	assert_int_equal(tree_picture(), before);
}

#define TXN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest more[] = {
		TXN(wrong_version_is_stale),
		TXN(creation_sets_every_field),
		TXN(data_changes_count_as_such),
		TXN(data_of_a_directory_leave_its_mtime),
		TXN(setattr_counts_mode_and_owner_only),
		TXN(setgid_directory_hands_on_its_group),
		TXN(exchange_swaps_and_moves_link_counts),
		TXN(rename_keeps_the_node_and_its_version),
		TXN(two_names_of_one_file_rename_to_nothing),
		TXN(link_count_is_bounded),
		TXN(unlinked_node_changes_by_a_volatile_transaction),
		TXN(forgotten_unlinked_node_is_gone),
		TXN(several_operations_are_all_or_none),
		TXN(memory_limit_refuses_growth_only),
		TXN(reverting_everything_gives_the_exact_state_back),
	};
	struct CMUnitTest tests[ARRAY_SIZE(rules) + ARRAY_SIZE(more)];

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		tests[i] = (struct CMUnitTest){
			.name = rules[i].name,
			.test_func = rule_holds,
			.setup_func = setup,
			.teardown_func = teardown,
			.initial_state = (void *)(uintptr_t)&rules[i],
		};
	memcpy(tests + ARRAY_SIZE(rules), more, sizeof(more));
	return cmocka_run_group_tests_name("txn", tests, NULL, NULL);
}
