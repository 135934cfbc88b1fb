/* SPDX-License-Identifier: Apache-2.0 */
/* fuse: libfuse's low-level interface, at the one version of it that all of fs/ is written for. */
#ifndef FS_FUSE_H
#define FS_FUSE_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#endif
