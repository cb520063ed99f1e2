"""Network namespaces with cuts between them; nothing of the host's own network is touched."""

import os

from tools import command, now_ns

# The interface-name limit is 15 characters (IFNAMSIZ), so names are a short prefix and the process id in hexadecimal.
BRIDGE_NETWORK = "10.213.77"
# The interface by which a node's namespace hangs on the bridge.
MESH_INTERFACE = "mesh"


class Network:
    """One namespace per node, all on one bridge in a namespace of its own."""

    def __init__(self, ids):
        self.tag = f"{os.getpid():x}"
        self.hub = f"hf{self.tag}h"
        self.ids = list(ids)
        self.made = []
        self.cuts = []
        self.isolated = []
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def space(self, node):
        return f"hf{self.tag}n{node}"

    def address(self, node):
        return f"{BRIDGE_NETWORK}.{node}"

    def add_space(self, name):
        command("ip", "netns", "add", name)
        self.made.append(name)
        command("ip", "-n", name, "link", "set", "lo", "up")

    def build(self):
        self.add_space(self.hub)
        command("ip", "-n", self.hub, "link", "add", "hub", "type", "bridge")
        command("ip", "-n", self.hub, "link", "set", "hub", "up")
        for node in self.ids:
            space = self.space(node)
            self.add_space(space)
            command("ip", "-n", self.hub, "link", "add", f"to{node}", "type", "veth",
                    "peer", "name", MESH_INTERFACE, "netns", space)
            command("ip", "-n", self.hub, "link", "set", f"to{node}", "master", "hub", "up")
            command("ip", "-n", space, "address", "add", f"{self.address(node)}/24", "dev", MESH_INTERFACE)
            command("ip", "-n", space, "link", "set", MESH_INTERFACE, "up")
            self.nft(space, "add table inet cut")
            # Input at the receiver: a packet dropped there was lost on its way, and the sender gets no error.
            self.nft(space, "add chain inet cut in { type filter hook input priority -10; policy accept; }")

    def nft(self, space, rule):
        command("ip", "netns", "exec", space, "nft", rule)

    def cut(self, sender, receiver):
        """From now on nothing that `sender` sends reaches `receiver`; the other direction stays open."""
        self.nft(self.space(receiver), f"add rule inet cut in ip saddr {self.address(sender)} drop")
        self.cuts.append((sender, receiver))

    def mend(self, sender, receiver):
        """Undoes one cut, and leaves the receiver's others."""
        self.cuts.remove((sender, receiver))
        script = "flush chain inet cut in\n" + "".join(
            f"add rule inet cut in ip saddr {self.address(other)} drop\n" for other, at in self.cuts if at == receiver)
        command("ip", "netns", "exec", self.space(receiver), "nft", "-f", "-", given=script)

    def isolate(self, node):
        """Cuts a node off from all others, both ways and at one instant; returns the nanoseconds just before it.

        One frame filter at its port of the bridge, in one transaction: single cuts would take effect one by one.
        """
        port = f"to{node}"
        script = ("add table netdev isolated\n"
                  f"add chain netdev isolated {port}in {{ type filter hook ingress device {port} priority 0; }}\n"
                  f"add chain netdev isolated {port}out {{ type filter hook egress device {port} priority 0; }}\n"
                  f"add rule netdev isolated {port}in drop\nadd rule netdev isolated {port}out drop\n")
        self.isolated.append(node)
        at = now_ns()
        command("ip", "netns", "exec", self.hub, "nft", "-f", "-", given=script)
        return at

    def rejoin(self, node):
        """Undoes one isolation."""
        self.isolated.remove(node)
        self.nft(self.hub, f"delete chain netdev isolated to{node}in")
        self.nft(self.hub, f"delete chain netdev isolated to{node}out")

    def heal(self):
        """Undoes every cut."""
        for receiver in sorted({receiver for _, receiver in self.cuts}):
            self.nft(self.space(receiver), "flush chain inet cut in")
        self.cuts.clear()
        if self.isolated:
            self.nft(self.hub, "delete table netdev isolated")
        self.isolated.clear()

    def close(self):
        for name in reversed(self.made):
            command("ip", "netns", "delete", name, check=False)
        self.made.clear()
