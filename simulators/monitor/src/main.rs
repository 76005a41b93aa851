//! Publishes simulated bedside monitors to a broker and prints as JSON what was sent.

fn main() -> anyhow::Result<()> {
    monitor::main(std::env::args_os())
}
