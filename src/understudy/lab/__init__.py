"""The lab: the nodes, networks, fencing devices and shared disks of a spec, as namespaces on one machine.

One process per lab, the machine room, owns everything that exists of it: its end is the end of every node,
mount, namespace and loop device, however it ended.
"""
