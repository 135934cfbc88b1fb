/* SPDX-License-Identifier: Apache-2.0 */
/* names: see the header. The kernel has looked a name up before it gets here, but may be behind. */
#include "names.h"

#include <errno.h>
#include <string.h>

#include "fs.h"

bool name_is_data(const char *name)
{
	return name[0] == '@' && strcmp(name, NAME_DATA) == 0;
}

bool name_is_control(fuse_ino_t parent, const char *name)
{
	return parent == FUSE_ROOT_ID && strcmp(name, NAME_CONTROL) == 0;
}

static int name_check(fuse_ino_t parent, const char *name)
{
	if (id_is_control(parent))
		return -EPERM;
	if (id_is_data(parent))
		return -ENOTDIR;
	if (strlen(name) > ZN_NAME_BYTES_MAX)
		return -ENAMETOOLONG;
	return 0;
}

int name_check_new(fuse_ino_t parent, const char *name)
{
	int r = name_check(parent, name);

	if (r == 0 && (name_is_data(name) || name_is_control(parent, name)))
		return -EEXIST;
	return r;
}

int name_check_old(fuse_ino_t parent, const char *name)
{
	int r = name_check(parent, name);

	if (r == 0 && name_is_control(parent, name))
		return -EPERM;
	return r;
}
