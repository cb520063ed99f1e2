// glibc declares renameat2 for _GNU_SOURCE only, which Swift's import does not define.
#define _GNU_SOURCE
#include "naming.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int holdfast_name_new(int old_directory, const char *old_name, int directory, const char *name) {
    if (renameat2(old_directory, old_name, directory, name, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) return -1;
    if (linkat(old_directory, old_name, directory, name, 0) != 0) return -1;
    return unlinkat(old_directory, old_name, 0);
}
