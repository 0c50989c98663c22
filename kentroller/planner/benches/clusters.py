#!/usr/bin/env python3
"""Makes a drifted cluster in another way than generate.rs does, so that the planner is not judged on its own kind alone.

Services arrive one pod at a time on any open node that fits, and open a node of any allowed type when none does; then
each is scaled down to about its load. Without rules nothing but cpu, memory and pods per node binds; with rules some
services keep apart, spread over zones or stay in one. `--current`: the nodes are of today's cheapest families and were
full, until 20 to 40 % of their pods went; so most may stay. Prints what `kubectl get -o json` would:

    ./clusters.py 1000 --seed 1 --rules > cluster.json && kentroller plan -f cluster.json --time-limit 1s
"""
import argparse
import csv
import json
import math
import pathlib
import random
import sys

CATALOG = pathlib.Path(__file__).parent.parent / "catalog/ec2.csv"
REGION = "us-east-1"
ZONES = [f"{REGION}{letter}" for letter in "abc"]
FAMILIES = {"m5", "m6i", "m7i", "c5", "c6i", "c7i", "r5", "r6i", "r7i", "m6a", "c6a", "r6a"}
# Name, milli-cpu, MiB.
DAEMONS = [("kube-proxy", 100, 64), ("aws-node", 50, 128), ("node-exporter", 50, 96), ("fluent-bit", 100, 200)]
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
TYPE, CAPACITY_TYPE = "node.kubernetes.io/instance-type", "karpenter.sh/capacity-type"
CLASS = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}


def types():
    """What may be launched: name, vCPU, memory in MiB, and what pods may ask for of them."""
    with CATALOG.open() as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            vcpu, memory, pods = int(row["vcpu"]), int(row["memory_mib"]), min(int(row["max_pods"]), 110)
            is_wanted = row["instance_type"].split(".")[0] in FAMILIES and 2 <= vcpu <= 64
            if row["region"] == REGION and is_wanted and "metal" not in row["instance_type"]:
                reserved = 60 + 10 + 5 * min(vcpu - 2, 2) + int(2.5 * max(vcpu - 4, 0))
                usable = memory - math.ceil(0.075 * memory) - (11 * pods + 255) - 100
                yield {"name": row["instance_type"], "vcpu": vcpu, "memory": memory, "pods": pods,
                       "cpu": vcpu * 1000 - reserved, "usable": usable}


def services(dice, wanted, options):
    """Services with all the pods that they have at their peak: `wanted` in all."""
    found, pods = [], 0
    while pods < wanted:
        cpu = min(max(10, round(math.exp(dice.gauss(math.log(options.cpu), 1.0)) / 10) * 10), 14_000)
        mib_a_core = 1024 * dice.choice([0.5, 1, 2, 2, 4, 4, 8, 8, 16]) * math.exp(dice.gauss(0, 0.3))
        of = {"app": f"svc-{len(found)}", "namespace": f"team-{dice.randrange(12)}", "cpu": cpu,
              "memory": min(max(32, int(cpu / 1000 * mib_a_core)), 100_000),
              "pods": min(max(1, int(dice.paretovariate(0.9) * 2)), wanted // 20 + 2), "rule": None, "zone": None}
        lot = dice.random() if options.rules else 1
        if lot < 0.05 and of["pods"] < 40:
            of["rule"] = "apart"
        elif lot < 0.45:
            of["rule"] = "DoNotSchedule" if lot < 0.25 else "ScheduleAnyway"
        elif lot < 0.5:
            of["zone"] = dice.choice(ZONES)
        found.append(of)
        pods += of["pods"]
    return found


def grow(dice, all_types, found):
    """Places all pods in a random order; the nodes, each with the services of its pods."""
    daemon_cpu, daemon_memory = sum(cpu for _, cpu, _ in DAEMONS), sum(memory for _, _, memory in DAEMONS)
    nodes, open_nodes, by_zone = [], [], {}
    arriving = [of for of in found for _ in range(of["pods"])]
    dice.shuffle(arriving)
    for of in arriving:
        counts = by_zone.setdefault(of["app"], dict.fromkeys(ZONES, 0))
        zones = [of["zone"]] if of["zone"] else ZONES
        if of["rule"] == "DoNotSchedule":
            zones = [zone for zone in ZONES if counts[zone] == min(counts.values())]

        def fits(node):
            return (node["zone"] in zones and node["cpu"] >= of["cpu"] and node["memory"] >= of["memory"]
                    and node["pods"] >= 1 and not (of["rule"] == "apart" and of in node["holds"]))

        node = dice.choice([node for node in open_nodes if fits(node)] or [None])
        if node is None:
            largest = dice.choice([4, 8, 16, 16, 32, 48])
            large = [it for it in all_types
                     if it["cpu"] - daemon_cpu >= of["cpu"] and it["usable"] - daemon_memory >= of["memory"]]
            near = [it for it in large if max(2, largest // 4) <= it["vcpu"] <= largest]
            it = dice.choice(near or large)
            node = {"type": it, "zone": dice.choice(zones), "cpu": it["cpu"] - daemon_cpu,
                    "memory": it["usable"] - daemon_memory, "pods": it["pods"] - len(DAEMONS), "holds": [],
                    "number": len(nodes), "name": f"ip-10-{len(nodes) >> 8}-{len(nodes) & 255}-1.ec2.internal"}
            nodes.append(node)
            open_nodes.append(node)
            if len(open_nodes) > 60:
                open_nodes.pop(dice.randrange(30))
        node["cpu"] -= of["cpu"]
        node["memory"] -= of["memory"]
        node["pods"] -= 1
        node["holds"].append(of)
        counts[node["zone"]] += 1
    return nodes


def pack(dice, all_types, found):
    """Places all pods in batches of sixty, each on as few nodes as hold it, of the family that is nearest to its memory."""
    daemon_cpu, daemon_memory = sum(cpu for _, cpu, _ in DAEMONS), sum(memory for _, _, memory in DAEMONS)
    arriving = [of for of in found for _ in range(of["pods"])]
    dice.shuffle(arriving)
    nodes = []
    for at in range(0, len(arriving), 60):
        left = sorted(arriving[at:at + 60], key=lambda of: -of["cpu"])
        while left:
            cpu, memory = sum(of["cpu"] for of in left), sum(of["memory"] for of in left)
            family = "c6a" if memory < 2.6 * cpu else "m6a" if memory < 5.2 * cpu else "r6a"
            sizes = sorted((it for it in all_types if it["name"].startswith(family + ".") and 8 <= it["vcpu"] <= 32),
                           key=lambda it: it["vcpu"])
            holds = (it for it in sizes if it["cpu"] - daemon_cpu >= cpu and it["usable"] - daemon_memory >= memory)
            it = next(holds, sizes[-1])
            node = {"type": it, "zone": dice.choice(ZONES), "cpu": it["cpu"] - daemon_cpu,
                    "memory": it["usable"] - daemon_memory, "pods": it["pods"] - len(DAEMONS), "holds": [],
                    "number": len(nodes), "name": f"ip-10-{len(nodes) >> 8}-{len(nodes) & 255}-1.ec2.internal"}
            rest = []
            for of in left:
                if node["cpu"] >= of["cpu"] and node["memory"] >= of["memory"] and node["pods"] >= 1:
                    node["cpu"] -= of["cpu"]
                    node["memory"] -= of["memory"]
                    node["pods"] -= 1
                    node["holds"].append(of)
                else:
                    rest.append(of)
            if not node["holds"]:
                break
            nodes.append(node)
            left = rest
    return nodes


def thin(dice, nodes):
    """The pods that are left when every node has lost 20 to 40 % of its own: (service, node)."""
    for node in nodes:
        lost = dice.uniform(0.2, 0.4)
        yield from ((of, node) for of in node["holds"] if dice.random() >= lost)


def shrink(dice, nodes, found, load):
    """The pods that are left when every service runs at about its load: (service, node)."""
    places = {of["app"]: [] for of in found}
    for node in nodes:
        for of in node["holds"]:
            places[of["app"]].append(node)
    for of in found:
        of_service = places[of["app"]]
        dice.shuffle(of_service)
        if of["rule"] == "DoNotSchedule":
            # A spread that held keeps holding: the zones lose pods by turns.
            turns = {zone: 0 for zone in ZONES}
            ranked = []
            for node in of_service:
                ranked.append((turns[node["zone"]], node["zone"], node))
                turns[node["zone"]] += 1
            of_service = [node for _, _, node in sorted(ranked, key=lambda one: one[:2])]
        kept = max(1, round(len(of_service) * min(1, max(0.1, dice.gauss(load, 0.25)))))
        yield from ((of, node) for node in of_service[:kept])


def named(api_version, kind, name, namespace=None, **metadata):
    uid = f"{kind}-{namespace}-{name}"
    metadata |= {"name": name, "uid": uid, "creationTimestamp": "2026-11-01T00:00:00Z"}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def true(*names):
    return [{"type": name, "status": "True", "lastTransitionTime": "2026-11-01T01:00:00Z"} for name in names]


def containers(cpu, memory):
    return [{"name": "main", "resources": {"requests": {"cpu": f"{cpu}m", "memory": f"{memory}Mi"}}}]


def pod(name, namespace, app, owner, node, spec):
    reference = {"apiVersion": "apps/v1", "kind": owner, "name": app, "uid": f"{owner}-{namespace}-{app}", "controller": True}
    it = named("v1", "Pod", name, namespace, labels={"app": app}, ownerReferences=[reference])
    status = {"phase": "Running", "startTime": "2026-11-02T00:00:00Z", "conditions": true("Ready")}
    return it | {"spec": spec | {"nodeName": node["name"]}, "status": status}


def pod_spec(of):
    spec = {"containers": containers(of["cpu"], of["memory"])}
    selector = {"matchLabels": {"app": of["app"]}}
    if of["zone"]:
        spec["nodeSelector"] = {ZONE: of["zone"]}
    if of["rule"] == "apart":
        term = {"labelSelector": selector, "topologyKey": HOSTNAME}
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    elif of["rule"]:
        spread = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": of["rule"], "labelSelector": selector}
        spec["topologySpreadConstraints"] = [spread]
    return spec


def node_objects(node):
    it = node["type"]
    labels = {HOSTNAME: node["name"], "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", TYPE: it["name"],
              ZONE: node["zone"], "topology.kubernetes.io/region": REGION, CAPACITY_TYPE: "on-demand",
              "karpenter.sh/nodepool": "default", "karpenter.sh/initialized": "true"}
    provider = f"aws:///{node['zone']}/i-{node['number']:08x}"
    room = {"cpu": f"{it['cpu']}m", "memory": f"{it['usable']}Mi", "pods": str(it["pods"])}
    status = {"allocatable": room, "capacity": room | {"cpu": str(it["vcpu"]), "memory": f"{it['memory']}Mi"}}
    yield named("v1", "Node", node["name"], labels=labels) | {
        "spec": {"providerID": provider}, "status": status | {"conditions": true("Ready")}}
    done = true("Launched", "Registered", "Initialized", "Consolidatable", "Ready")
    yield named("karpenter.sh/v1", "NodeClaim", f"default-{node['number']:05x}", labels=labels) | {
        "spec": {"nodeClassRef": CLASS, "requirements": []},
        "status": {"nodeName": node["name"], "providerID": provider, "conditions": done}}
    for name, cpu, memory in DAEMONS:
        spec = {"containers": containers(cpu, memory), "tolerations": [{"operator": "Exists"}]}
        yield pod(f"{name}-{node['number']:05x}", "kube-system", name, "DaemonSet", node, spec)


def cluster_objects(all_types):
    def one_of(key, values):
        return {"key": key, "operator": "In", "values": values}

    requirements = [one_of(CAPACITY_TYPE, ["on-demand"]), one_of(TYPE, [it["name"] for it in all_types])]
    template = {"spec": {"expireAfter": "Never", "nodeClassRef": CLASS, "requirements": requirements}}
    disruption = {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "1m", "budgets": [{"nodes": "100%"}]}
    yield named("karpenter.sh/v1", "NodePool", "default") | {
        "spec": {"disruption": disruption, "template": template}, "status": {"conditions": true("Ready")}}
    for name, cpu, memory in DAEMONS:
        labels = {"app": name}
        spec = {"tolerations": [{"operator": "Exists"}], "containers": containers(cpu, memory)}
        yield named("apps/v1", "DaemonSet", name, "kube-system") | {
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}}


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("pods", type=int, help="how many pods are left, about")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--rules", action="store_true", help="some services keep apart, spread or stay in a zone")
    asked.add_argument("--load", type=float, default=0.55, help="the part of its peak that a service runs at")
    asked.add_argument("--cpu", type=int, default=320, help="median request, in milli-cpu")
    asked.add_argument("--current", action="store_true", help="nodes of today's cheapest families, from which pods went; no rules")
    options = asked.parse_args()
    if options.current and options.rules:
        asked.error("--current places pods without regard to rules: leave --rules out")
    dice, all_types = random.Random(options.seed), list(types())
    found = services(dice, int(options.pods / (0.7 if options.current else options.load)), options)
    if options.current:
        nodes = pack(dice, all_types, found)
        kept = list(thin(dice, nodes))
    else:
        nodes = grow(dice, all_types, found)
        kept = list(shrink(dice, nodes, found, options.load))
    used = {node["number"] for _, node in kept}
    items = list(cluster_objects(all_types))
    for node in nodes:
        if node["number"] in used:
            items.extend(node_objects(node))
    for number, (of, node) in enumerate(kept):
        items.append(pod(f"{of['app']}-{number}", of["namespace"], of["app"], "ReplicaSet", node, pod_spec(of)))
    json.dump({"apiVersion": "v1", "kind": "List", "items": items}, sys.stdout)
    print(f"{len(used)} nodes, {len(kept)} pods", file=sys.stderr)


if __name__ == "__main__":
    main()
