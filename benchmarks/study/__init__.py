"""The paper's tables and figures rebuilt in kind, on simulated thick tissue (Li et al. 2021, Results)."""
