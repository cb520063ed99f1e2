#pragma once
#include <stdint.h>

/// Frees a range of a file without changing its length; 0, or -1 and errno.
int holdfast_punch(int descriptor, int64_t offset, int64_t byte_count);

/// Makes a range read as zero and keeps its space; 0, or -1 and errno.
int holdfast_zero(int descriptor, int64_t offset, int64_t byte_count);

/// Writes the dirty pages of a range and waits for them; 0, or -1 and errno. Promises nothing of
/// metadata or of the disk's own cache: a sync has to follow.
int holdfast_write_back(int descriptor, int64_t offset, int64_t byte_count);

/// Whether any program has locked any of an open file, for reading or writing: 1 or 0, or -1 and errno.
int holdfast_is_locked(int descriptor);
