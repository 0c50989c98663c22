//! The charts as Helm renders them: `cargo charts`. Helm is built the first time, from the Go module in `helm/`.

mod contract;
mod examples;
mod manifests;
mod render;
mod umbrella;
mod values;
