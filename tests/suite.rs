//! All whole-program tests in one target: one link, one place to look.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on says where")]

#[path = "suite/machine/ap_bus.rs"]
mod ap_bus; // tests/ap_scenarios.yaml: what pvapconfig does with queues of all sorts
#[path = "suite/machine/ap_guest.rs"]
mod ap_guest; // a guest with an AP bus
#[path = "suite/machine/ap_writes.rs"]
mod ap_writes; // tests/ap_writes.yaml: what the bus says to each write, under the preload library and in a booted kernel
#[path = "suite/machine/booted.rs"]
mod booted; // a real kernel in QEMU, for tests that run in both worlds
#[path = "suite/certificate_matrix.rs"]
mod certificate_matrix; // every situation of host-key verification
#[path = "suite/reference/command_lines.rs"]
mod command_lines; // every option of s390-tools
#[path = "suite/confidential_containers.rs"]
mod confidential_containers; // docs/confidential-containers.md, command by command
#[path = "suite/crl_cache.rs"]
mod crl_cache; // CRLs that are kept, and who must not get hold of them
#[path = "suite/crl_download.rs"]
mod crl_download; // CRLs from a server that answers well and badly
#[path = "suite/reference/differences.rs"]
mod differences; // where we differ from s390-tools, and why
#[path = "suite/dispatch.rs"]
mod dispatch; // argv[0], the umbrella command, standard streams
#[path = "suite/doctor.rs"]
mod doctor; // what is there and what is missing, on machines of all sorts
#[path = "suite/documented_commands.rs"]
mod documented_commands; // as IBM prints them, host keys verified
#[path = "suite/machine/early.rs"]
mod early; // packaging/guest/early.sh in a booted kernel
#[path = "suite/machine/faults.rs"]
mod faults; // every file and ioctl call failing once
#[path = "suite/fixtures.rs"]
mod fixtures; // known answers
#[path = "suite/machine/guest.rs"]
mod guest; // tests/guest.yaml: what happens in a guest, with the ultravisor's state after every step
#[path = "suite/help.rs"]
mod help; // snapshot of every help text
#[path = "suite/hostile_text.rs"]
mod hostile_text; // text from outside that would steer a terminal
#[path = "suite/inspect.rs"]
mod inspect; // every kind of file, explained
#[path = "suite/machine/kills.rs"]
mod kills; // killed between any two system calls
#[path = "suite/man_pages.rs"]
mod man_pages; // pages against command lines, examples run
#[path = "suite/machine/memory.rs"]
mod memory; // no secret is left in memory
#[path = "suite/output_policy.rs"]
mod output_policy; // random trees, and what the tables of the policy say of them
#[path = "suite/outputs.rs"]
mod outputs; // what is in the way of outputs, and several of them
#[path = "suite/pvapconfig.rs"]
mod pvapconfig; // queues of a simulated AP bus
#[path = "suite/pvapconfig_trouble.rs"]
mod pvapconfig_trouble; // faults, kills and resets at every step
#[path = "suite/pvattest.rs"]
mod pvattest; // create, perform, verify, check
#[path = "suite/pvattest_round_trip.rs"]
mod pvattest_round_trip; // request, answer, verdict, policies, firmware check
#[path = "suite/pvebc.rs"]
mod pvebc; // the set of secrets of a boot, and a hostile host
#[path = "suite/pvextract_hdr.rs"]
mod pvextract_hdr; // images, page ranges, outputs
#[path = "suite/pvimg.rs"]
mod pvimg; // images made, taken apart, judged
#[path = "suite/pvinfo.rs"]
mod pvinfo; // what the ultravisor can do
#[path = "suite/pvsecret_bad_input.rs"]
mod pvsecret_bad_input; // a table of everything that can be wrong
#[path = "suite/pvsecret_guest.rs"]
mod pvsecret_guest; // add, list, lock, retrieve with the simulator's ultravisor
#[path = "suite/pvsecret_workstation.rs"]
mod pvsecret_workstation; // create and verify
#[path = "suite/pvverify.rs"]
mod pvverify; // verdicts on host-key documents
#[path = "suite/reference/recorded.rs"]
mod recorded; // command lines with the recorded behaviour of s390-tools
#[path = "suite/reference/recorded_images.rs"]
mod recorded_images; // the files that those of pvimg and genprotimg name
#[path = "suite/reference/recorded_inputs.rs"]
mod recorded_inputs; // the files that those name
#[path = "suite/reference/side_by_side.rs"]
mod side_by_side; // the programs of s390-tools, where they are, and ours
#[path = "suite/reference/side_by_side_guest.rs"]
mod side_by_side_guest; // the same in the simulated guest
#[path = "suite/machine/simulator.rs"]
mod simulator; // many commands at once in one guest
#[path = "suite/support.rs"]
mod support; // scratch folders and the command runner
#[path = "suite/trustee.rs"]
mod trustee; // the key broker of Confidential Containers: folder, policies, evidence, renewal
#[path = "suite/trustee_server.rs"]
mod trustee_server; // resources and policies sent to a server that answers well and badly
#[path = "suite/trustee_tls.rs"]
mod trustee_tls; // a server with a certificate of every sort
#[path = "suite/machine/verifier_folder.rs"]
mod verifier_folder; // the folder of Trustee's verifier, killed and failing at each step
#[path = "suite/zcrypt.rs"]
mod zcrypt; // lszcrypt and chzcrypt
#[path = "suite/reference/zcrypt_recorded.rs"]
mod zcrypt_recorded; // lszcrypt, chzcrypt on a static sysfs, as recorded
