//! The protocol's types, made of its one declaration without `protoc`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../../proto");
    let mut compiler = protox::Compiler::new(["../../proto"])?;
    compiler.open_file("kentroller/plan/v1/plan.proto")?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("plan.binpb"), compiler.encode_file_descriptor_set())?;
    compiler.include_source_info(true);
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
