#!/usr/bin/env python3
"""Makes ec2.csv: EC2 instance types of some regions with their Linux on-demand prices.

Sizes and regions come from the DescribeInstanceTypes and DescribeInstanceTypeOfferings dumps in moto, prices from the
price list in apache-libcloud, where they agree among themselves. What the packages do not price is taken from a CSV of
the same columns, against which everything else is compared; the differences are told on stderr.

    python3 -m venv venv && venv/bin/pip install --no-deps moto==5.2.5 apache-libcloud==3.9.1
    venv/bin/python make.py --against ec2.csv > new.csv 2> differences.txt
"""
import argparse
import collections
import csv
import datetime
import gzip
import importlib.metadata
import importlib.util
import json
import pathlib
import sys

COLUMNS = "instance_type,region,vcpu,memory_mib,arch,max_pods,gpu_count,gpu_name,on_demand_usd_hour,disk_gb,interfaces".split(",")
# The older tables of the price list, one a region, hold no dedicated-tenancy prices.
REGIONS = {"us-east-1": "ec2_us_east", "us-west-2": "ec2_us_west_oregon", "eu-west-1": "ec2_eu_west"}
# Prices that differ by less are the same price, rounded.
ROUNDING = 0.004


def data(package, path):
    """A file of a package, which need not be fit to be imported."""
    return pathlib.Path(importlib.util.find_spec(package).submodule_search_locations[0], path).read_bytes()


def moto(path):
    return json.loads(gzip.decompress(data("moto", f"ec2/resources/{path}.json.gz")))


def size(it):
    """The columns of a type, but for region and price."""
    network = it["NetworkInfo"]
    card = network["NetworkCards"][network.get("DefaultNetworkCardIndex", 0)]
    gpus = [gpu for gpu in it.get("GpuInfo", {}).get("Gpus", []) if gpu["Manufacturer"] == "NVIDIA"]
    # A share of a GPU is none that a pod could ask for.
    whole = [gpu for gpu in gpus if gpu.get("GpuPartitionSize", 1.0) >= 1.0]
    architectures = it["ProcessorInfo"]["SupportedArchitectures"]
    return {
        "vcpu": it["VCpuInfo"]["DefaultVCpus"],
        "memory_mib": it["MemoryInfo"]["SizeInMiB"],
        "arch": "arm64" if any(one.startswith("arm64") for one in architectures) else "amd64",
        # Each interface keeps one address to itself; two pods run on the host's network.
        "max_pods": card["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) + 2,
        "gpu_count": sum(gpu["Count"] for gpu in whole),
        "gpu_name": gpus[0]["Name"].lower().replace(" ", "-") if gpus else "",
        "interfaces": card["MaximumNetworkInterfaces"],
        # All disks of the machine itself together.
        "disk_gb": it.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0),
    }


def agreed(names, sizes, listed):
    """Prices that another size of the family confirms by the same price a core, the lowest such.

    One price in five of the list is one of dedicated tenancy, 6 to 10 % above, or zero. Families that are not priced by
    the core (burstable, accelerated) confirm nothing.
    """
    families = collections.defaultdict(list)
    for name in names:
        for price in listed(name):
            families[name.split(".")[0]].append((price / sizes[name]["vcpu"], name))
    confirmed = {}
    for family, rates in families.items():
        if family[0] in "tgpfu" or family.startswith(("inf", "trn", "dl", "vt")):
            continue
        for rate, _ in sorted(rates):
            like = {name for other, name in rates if abs(other / rate - 1) < ROUNDING / 2}
            if len(like) >= 2:
                for name in like:
                    confirmed[name] = min(listed(name), key=lambda price: abs(price / sizes[name]["vcpu"] / rate - 1))
                break
    return confirmed


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--against", metavar="CSV", help="compared with, and asked where the packages know no price")
    against = {}
    path = ask.parse_args().against
    if path:
        with open(path, encoding="utf-8") as lines:
            for row in csv.DictReader(line for line in lines if not line.startswith("#")):
                against[row["instance_type"], row["region"]] = row
    sizes = {name: size(it) for name, it in moto("instance_types").items()}
    prices = json.loads(data("libcloud", "data/pricing.json"))
    tables = prices["compute"]
    rows, told = [], collections.defaultdict(list)
    for region, table in REGIONS.items():
        offered = {one["InstanceType"] for one in moto(f"instance_type_offerings/region/{region}")}

        def listed(name):
            both = tables["ec2_linux"].get(name, {}).get(region), tables[table].get(name)
            return [price for price in both if price]

        confirmed = agreed(sorted(offered & sizes.keys()), sizes, listed)
        for name in sorted(offered & sizes.keys()):
            other = against.get((name, region))
            price, known = confirmed.get(name), float(other["on_demand_usd_hour"]) if other else None
            if price and known and abs(price / known - 1) > ROUNDING:
                told["another price; the given one is kept"].append(f"{name} {region}: {price} here, {known} there")
                price = known
            elif price and known:
                # The given one may have a digit more.
                price = known
                told["the same price here and there"].append(f"{name} {region}")
            elif known:
                told["a price from the given file only"].append(f"{name} {region}")
                price = known
            elif price and not known:
                told["a price from the packages only"].append(f"{name} {region}")
            elif price is None:
                told["no price: left out"].append(f"{name} {region}")
                continue
            row = {"instance_type": name, "region": region, **sizes[name]}
            row["on_demand_usd_hour"] = f"{price:.6f}".rstrip("0").rstrip(".")
            for column in COLUMNS[2:8] if other else []:
                if str(row[column]) != other[column]:
                    told[f"another {column}; the given one is kept"].append(f"{name} {region}: {row[column]} here, {other[column]} there")
                    row[column] = other[column]
            rows.append(row)
        for name, of in sorted(against):
            if of == region and name not in offered & sizes.keys():
                told["only in the given file: not offered, left out"].append(f"{name} {region}")
    rows.sort(key=lambda row: (row["region"], row["instance_type"]))
    version = importlib.metadata.version
    scraped = datetime.datetime.fromtimestamp(prices["updated"], datetime.timezone.utc).date()
    print(f"# EC2 instance types with Linux on-demand prices (USD an hour, shared tenancy) of {', '.join(REGIONS)}.")
    print(f"# Made by make.py from moto {version('moto')} (sizes, regions) and apache-libcloud {version('apache-libcloud')} (prices of {scraped});")
    print("# prices that these do not have, and what else differs: differences.md.")
    out = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    out.writeheader()
    out.writerows(rows)
    print(f"{len(rows)} rows; {len(against)} in the given file", file=sys.stderr)
    for reason, pairs in sorted(told.items()):
        print(f"\n{reason}: {len(pairs)}", file=sys.stderr)
        for pair in pairs:
            print(f"  {pair}", file=sys.stderr)


if __name__ == "__main__":
    main()
