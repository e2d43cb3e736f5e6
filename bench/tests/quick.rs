//! Every proxy that is installed answers all workloads well; how fast is not asked.

use std::process::Command;

#[test]
fn ours_and_its_peers_answer_every_workload() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args([
            "compare",
            "--quick",
            "--only",
            "hostquorumd",
            "--hostquorumd",
        ])
        .arg(harness::binaries::path("hostquorumd"))
        .output()
        .unwrap();
    let (told, complaints) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    eprintln!("{complaints}");
    assert!(output.status.success(), "{complaints}");
    for row in [
        "handshake",
        "HTTP/1.1, 128 B",
        "HTTP/2, 128 B",
        "HTTP/1.1, 64 KiB",
    ] {
        assert!(told.contains(row), "{row} is not in\n{told}");
    }
    assert!(
        told.contains("hostquorumd") && told.contains("floor"),
        "{told}"
    );
}
