//! Types to bytes: CRDs, RBAC, schemas and reference pages are read from the declarations. Nothing here touches a disk.

pub mod crd;
