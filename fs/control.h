/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: the directory `.znodefs` in the root, found by name and never listed there. Its files are
 * made when they are opened; the table in control.c names them.
 */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#include "request.h"

/* @parent is the root, with the name ".znodefs", or a control node. */
void control_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void control_getattr(fuse_req_t req, fuse_ino_t ino);
void control_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void control_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus);

/*
 * For the files of the table: opens @r's file with this content and ends the request. Takes over
 * @content (from malloc); NULL stands for no memory.
 */
void control_reply_open(struct request *r, char *content, size_t content_bytes);

#endif
