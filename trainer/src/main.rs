//! The `sirocco-train` command; everything is in the library.

fn main() -> std::process::ExitCode {
    sirocco_trainer::cmd::main()
}
