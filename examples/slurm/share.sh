#!/usr/bin/env bash
#SBATCH --job-name=hpbench-share
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --requeue
# One GPU a share: take away one #
##SBATCH --gpus=1
set -euo pipefail
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK # the same for all: the last bits of a sum depend on it
# SHARES and not SLURM_ARRAY_TASK_COUNT: that is another number when a few of the shares are submitted again
exec hpbench run "$@" --shard "$((SLURM_ARRAY_TASK_ID + 1))/${SHARES:-$SLURM_ARRAY_TASK_COUNT}"
