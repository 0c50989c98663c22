//! What wrong input is told. `TRYBUILD=overwrite cargo test -p kentroller-runtime --test wrong_input` writes the messages
//! anew; they belong to the compiler of rust-toolchain.toml.

#[test]
fn wrong_input_is_told_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/ui/*/*.rs");
}
