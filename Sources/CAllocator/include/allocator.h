#pragma once

/// One arena for all threads, and what is freed at the heap's end goes back above `trim_bytes`.
void holdfast_keep_heap_small(int trim_bytes);
