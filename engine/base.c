/* SPDX-License-Identifier: Apache-2.0 */
/* base: what an assertion does when it fails. */
#include "znodefs/base.h"

#include <stdio.h>
#include <stdlib.h>

void zn_assert_failed(const char *condition, const char *file, int line)
{
	(void)fprintf(stderr, "<2>assertion failed: %s (%s:%d)\n", condition, file, line);
	abort();
}
