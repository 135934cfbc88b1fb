/* SPDX-License-Identifier: Apache-2.0 */
/* stats: the control file of that name, one `name value` a line. */
#ifndef FS_STATS_H
#define FS_STATS_H

#include "request.h"

void stats_open(struct request *r);

#endif
