"""Three masters, each with a replica or without, as a Redis Cluster."""

import subprocess
import time

from redis import Redis
from redis.crc import key_slot

from harness.deadlines import PACE, PATIENCE, poll
from harness.gateway import free_port
from harness.redis_server import HOST, RedisServer

MASTERS = 3
NODE_TIMEOUT = int(1000 * PACE)  # milliseconds
FAILOVER_PATIENCE = 3 * PATIENCE


class ClusterNode(RedisServer):
    def __init__(self, folder, **options):
        super().__init__(folder, **{
            "cluster_enabled": "yes", "cluster_port": free_port(), "cluster_node_timeout": NODE_TIMEOUT,
            # Who is on the other nodes goes on when one is lost.
            "cluster_require_full_coverage": "no", "cluster_replica_validity_factor": 0} | options)
        self.id = self.ask("MYID")

    def ask(self, *command):
        return self.redis.execute_command(" ".join(["CLUSTER", str(command[0])]), *command[1:])

    def state(self) -> dict:
        return self.ask("INFO")

    def known(self) -> dict[int, dict]:
        """What it knows of each node, by port."""
        return {int(address.rpartition(":")[2].partition("@")[0]): node
                for address, node in self.ask("NODES").items()}


class RedisCluster:
    """Ready when every node says that the cluster is well, and the replicas have what their masters have."""

    def __init__(self, new_folder, replicas: int = 1, **options):
        """@param replicas  of each master. @param options  of each node's redis.conf"""
        self.nodes: list[ClusterNode] = []
        self._replicas = replicas
        try:
            for _ in range(MASTERS * (1 + replicas)):
                self.nodes.append(ClusterNode(new_folder(), **options))
            # The first one has the first slots; and the gateways listen to it, which prefer the lowest address.
            self.nodes.sort(key=lambda node: node.port)
            self._join()
        except BaseException:
            self.close()
            raise

    def _join(self) -> None:
        made = subprocess.run(["redis-cli", "--cluster", "create", *[node.address for node in self.nodes],
                               "--cluster-replicas", str(self._replicas), "--cluster-yes"],
                              capture_output=True, text=True, timeout=3 * PATIENCE)
        assert made.returncode == 0, made.stdout + made.stderr
        poll(self._is_well, "the cluster is well", 3 * PATIENCE)
        for node in self.nodes:
            if node.is_master:
                node.await_replicas(self._replicas)
            else:
                node.await_link()

    def _is_well(self) -> bool:
        roles = [False] * MASTERS + [True] * MASTERS * self._replicas
        return all(node.state()["cluster_state"] == "ok" and self._roles(node) == roles for node in self.nodes)

    @staticmethod
    def _roles(node: ClusterNode) -> list[bool]:
        return sorted("slave" in other["flags"] for other in node.known().values())

    @property
    def url(self) -> str:
        """Names three of them at most: two masters and a replica."""
        return "redis+cluster://" + ",".join(node.address for node in self.nodes[1:4])

    def _living(self) -> list[ClusterNode]:
        return [node for node in self.nodes if node.process]

    def node_at(self, port: int) -> ClusterNode:
        return next(node for node in self.nodes if node.port == port)

    # ---- who has what ---------------------------------------------------------------------------------------------

    def masters(self) -> list[ClusterNode]:
        return [node for node in self._living() if node.is_master]

    def node_of_slot(self, slot: int) -> ClusterNode:
        """The living master that says the slot is its own."""
        for node in self.masters():
            for first, last, (_, port, *_), *_ in self._slots(node):
                if first <= slot <= last and port == node.port:
                    return node
        raise AssertionError(f"nobody has slot {slot}")

    @staticmethod
    def _slots(node: ClusterNode) -> list:
        # Not redis-py's own reading of CLUSTER SLOTS, which changes with its version.
        client = node.client()
        client.set_response_callback("CLUSTER SLOTS", lambda answer, **_: answer)
        with client:
            return client.execute_command("CLUSTER SLOTS")

    def node_of(self, key: str) -> ClusterNode:
        return self.node_of_slot(key_slot(key.encode()))

    def replica_of(self, master: ClusterNode) -> ClusterNode:
        known = master.known()
        return next(node for node in self._living() if known[node.port]["master_id"] == master.id)

    def client_of(self, key: str) -> Redis:
        return self.node_of(key).redis

    # ---- what happens to it ---------------------------------------------------------------------------------------

    def await_promotion(self, replica: ClusterNode) -> float:
        """When (time.monotonic()) the replica has its master's place."""
        poll(lambda: replica.is_master, f"the promotion of {replica.address}\n{replica.said()}", FAILOVER_PATIENCE)
        return time.monotonic()

    def await_agreement(self) -> None:
        """Until every living node knows of every promotion."""
        poll(self._agree, "the nodes agree on who is a master", FAILOVER_PATIENCE)

    def _agree(self) -> bool:
        masters = {node.port for node in self.masters()}
        return len(masters) == MASTERS and all(
            {port for port, other in node.known().items()
             if "master" in other["flags"] and "fail" not in other["flags"]} == masters for node in self._living())

    def fail_over(self, replica: ClusterNode) -> None:
        """An operator gives a replica its master's place."""
        replica.ask("FAILOVER")
        self.await_promotion(replica)
        self.await_agreement()

    def migrate_slot(self, slot: int, to: ClusterNode, between=lambda: None, last: str = "") -> None:
        """Moves a slot as redis-cli --cluster reshard does, key by key.

        @param between  called after every step
        @param last     what keys begin with that move after all others
        """
        source = self.node_of_slot(slot)
        assert source is not to
        to.ask("SETSLOT", slot, "IMPORTING", source.id)
        source.ask("SETSLOT", slot, "MIGRATING", to.id)
        between()
        while keys := source.ask("GETKEYSINSLOT", slot, 1000):
            key = min(keys, key=lambda key: key.startswith(last))
            source.redis.execute_command("MIGRATE", HOST, to.port, "", 0, int(PATIENCE * 1000), "KEYS", key)
            between()
        for node in [to, source] + [node for node in self.masters() if node not in (to, source)]:
            node.ask("SETSLOT", slot, "NODE", to.id)
            between()

    def remove(self, node: ClusterNode, heir: ClusterNode) -> None:
        """Moves all slots of a master that has some session, and has the others forget it, as redis-cli --cluster
        reshard and del-node do. Its process goes on, as a cluster of its own that has no slots."""
        for slot in {key_slot(key.encode()) for key in node.keys()}:
            self.migrate_slot(slot, heir)
        rest = [slot for first, last, (_, port, *_), *_ in self._slots(node) if port == node.port
                for slot in range(first, last + 1)]
        others = [other for other in self._living() if other is not node]
        for told in [node, heir] + [other for other in others if other is not heir]:
            with told.redis.pipeline(transaction=False) as line:
                for slot in rest:
                    line.execute_command("CLUSTER SETSLOT", slot, "NODE", heir.id)
                line.execute()
        for other in others:
            other.ask("FORGET", node.id)
        node.ask("RESET", "SOFT")

    def close(self) -> None:
        for node in self.nodes:
            node.close()
