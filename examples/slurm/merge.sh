#!/usr/bin/env bash
#SBATCH --job-name=hpbench-merge
#SBATCH --cpus-per-task=1
#SBATCH --mem=8G
#SBATCH --time=00:30:00
set -euo pipefail
exec hpbench merge "$1"
