#pragma once
#include <stdint.h>

/// Frees a range of a file without changing its length; 0, or -1 and errno.
int holdfast_punch(int descriptor, int64_t offset, int64_t byte_count);
