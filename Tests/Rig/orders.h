// What the rig orders of an agent that runs already: one small file, mapped, written by the rig and read by the shims.
#ifndef HOLDFAST_ORDERS_H
#define HOLDFAST_ORDERS_H

#include <stdatomic.h>
#include <stdint.h>

// Every field is one aligned word. `turn` is odd while the rig writes the clock's words, which belong together.
struct orders {
    _Atomic int64_t sync_delay_ns, syncs_to_fail, syncs_failed;
    _Atomic int64_t turn, real_offset_ns, boot_at_ns, boot_then_ns, boot_rate_ppm;
};

// The mapped file which the environment names; ends the process without one, for a shim with no orders would let every
// test pass.
struct orders *orders_from(const char *variable, const char *shim);

#endif
