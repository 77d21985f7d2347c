#!/usr/bin/env bash
# A run on all GPUs of several nodes as one job:
#   sbatch --nodes=2 torchrun.sh -m mnn -d aflw2000 --data /shared/AFLW2000-3D.zip -o /shared/results/mnn
#SBATCH --job-name=hpbench
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=04:00:00
set -euo pipefail
read -r head < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
processes=${SLURM_GPUS_ON_NODE:-1}
export OMP_NUM_THREADS=$((SLURM_CPUS_PER_TASK / processes))
exec srun torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "$processes" \
  --rdzv-backend c10d --rdzv-endpoint "$head:29500" --rdzv-id "$SLURM_JOB_ID" \
  -m hpbench run "$@"
