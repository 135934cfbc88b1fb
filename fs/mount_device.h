/* SPDX-License-Identifier: Apache-2.0 */
/* mount_device: which file system is mounted at a place, found out without asking that file system. */
#ifndef FS_MOUNT_DEVICE_H
#define FS_MOUNT_DEVICE_H

#include <sys/types.h>

/*
 * The device number (st_dev of its files) of the topmost mount at @path, which is absolute and without
 * links; 0 if nothing is mounted there, or that cannot be found out. Any thread.
 */
dev_t mount_device(const char *path);

#endif
