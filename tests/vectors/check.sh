#!/bin/sh
# check.sh: writes the vectors anew into a temporary folder and fails, naming the file and the command, if they differ.
# check.sh --write: writes them here.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
cd "$here/../controlplane"
for vectors in cron quantity scheduling; do
	# As build.sh builds: most of what the scheduler needs is then compiled already.
	GOFLAGS=-buildvcs=false go run -trimpath "./cmd/${vectors}vectors" >"$fresh/$vectors.jsonl"
	if [ "${1:-}" = --write ]; then
		cp "$fresh/$vectors.jsonl" "$here/"
	elif ! diff -q "$here/$vectors.jsonl" "$fresh/$vectors.jsonl" >/dev/null; then
		echo "tests/vectors/$vectors.jsonl is not what cmd/${vectors}vectors writes; run tests/vectors/check.sh --write and read the difference" >&2
		exit 1
	fi
done
