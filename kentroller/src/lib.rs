//! Lowers the bill of clusters run by Karpenter.
