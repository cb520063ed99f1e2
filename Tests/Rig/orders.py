"""Orders to diskfault.so and clockshift.so, which are preloaded into an agent: one small file, mapped by both sides."""

import mmap
import os
import struct
import time

# As struct orders of orders.h has them.
FIELDS = ("sync_delay_ns", "syncs_to_fail", "syncs_failed", "turn", "real_offset_ns", "boot_at_ns", "boot_then_ns",
          "boot_rate_ppm")


class Orders:
    """They outlive the agent, so that one which is started anew finds its disk and clocks as they were."""

    def __init__(self, path):
        self.path = path
        with open(path, "xb+") as file:
            file.truncate(8 * len(FIELDS))
            self.map = mmap.mmap(file.fileno(), 8 * len(FIELDS))

    def __getitem__(self, name):
        return struct.unpack_from("<q", self.map, 8 * FIELDS.index(name))[0]

    def __setitem__(self, name, value):
        struct.pack_into("<q", self.map, 8 * FIELDS.index(name), value)

    def shift_clock(self, real_offset_ns, boot_rate_ppm):
        """From now on the wall clock is off by so much, and the boot clock runs on at another rate from where it is."""
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        then = self["boot_then_ns"] + (now - self["boot_at_ns"]) * (1_000_000 + self["boot_rate_ppm"]) // 1_000_000
        self["turn"] += 1
        self["real_offset_ns"], self["boot_rate_ppm"] = real_offset_ns, boot_rate_ppm
        self["boot_at_ns"], self["boot_then_ns"] = now, then
        self["turn"] += 1

    def revoke(self):
        self["sync_delay_ns"] = self["syncs_to_fail"] = 0
        self.shift_clock(0, 0)

    def environment(self, rig, data):
        """Preloaded in this order, so that a sync which fails leaves its bytes unsynced under powercut.so as well."""
        return {"LD_PRELOAD": ":".join(os.path.abspath(os.path.join(rig, name)) for name in ("diskfault.so", "clockshift.so")),
                "HOLDFAST_DISKFAULT_DIR": data, "HOLDFAST_DISKFAULT_ORDERS": self.path,
                "HOLDFAST_CLOCKSHIFT_ORDERS": self.path}

    def close(self):
        self.map.close()
