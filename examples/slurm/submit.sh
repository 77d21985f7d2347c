#!/usr/bin/env bash
# A run in shares on SLURM: an array of jobs, and one that joins them when all have succeeded.
#   OUT=/shared/results/mnn SHARES=16 bash submit.sh -m mnn -d aflw2000 --data /shared/AFLW2000-3D.zip
# What time ran out for is done by the same command again: a share goes on where it was.
set -euo pipefail
: "${OUT:?the folder of the results, which all nodes reach}" "${SHARES:=8}"
here=$(cd "$(dirname "$0")" && pwd)
export SHARES
array=$(sbatch --parsable --export=ALL --array="0-$((SHARES - 1))" "$here/share.sh" "$@" -o "$OUT")
sbatch --export=ALL --dependency="afterok:${array%%;*}" "$here/merge.sh" "$OUT"
