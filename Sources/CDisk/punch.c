// Glibc declares fallocate for _GNU_SOURCE only, which Swift's import does not define.
#define _GNU_SOURCE
#include "punch.h"
#include <fcntl.h>

int holdfast_punch(int descriptor, int64_t offset, int64_t byte_count) {
    return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, byte_count);
}
