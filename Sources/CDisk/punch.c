// Glibc declares these for _GNU_SOURCE only, which Swift's import does not define.
#define _GNU_SOURCE
#include "punch.h"
#include <fcntl.h>

int holdfast_punch(int descriptor, int64_t offset, int64_t byte_count) {
    return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, byte_count);
}

int holdfast_zero(int descriptor, int64_t offset, int64_t byte_count) {
    return fallocate(descriptor, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, byte_count);
}

int holdfast_write_back(int descriptor, int64_t offset, int64_t byte_count) {
    return sync_file_range(descriptor, offset, byte_count,
                           SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

int holdfast_is_locked(int descriptor) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(descriptor, F_OFD_GETLK, &lock) != 0) return -1;
    return lock.l_type != F_UNLCK;
}
