//! What a power cut may leave on a disk, from a recording of a real program.
//!
//! A program runs unmodified under `strace` ([`recorder`]), its calls are read back ([`syscall`]) as
//! operations on one directory ([`trace`]), and those are applied to a model of a disk ([`disk`]) that
//! knows what is written and what is durable. After each operation it can be asked for the directory
//! that a cut at this moment may leave ([`disk::Cut`]), which is written to a real directory ([`tree`])
//! for the program to be started on ([`cells`]). [`mqtt_packets`] tells what left the program and what reached it
//! before the cut.
//!
//! Rules of the disk: the bytes of a file are durable after `fsync` or `fdatasync` of that file, a name
//! (made, changed or removed) after `fsync` of its directory. `sync_file_range` makes nothing durable.
//! What file systems do beyond that is luck.
//!
//! Must never break: a recording that was misread fails. [`recorder::Recording::check`] compares what the
//! model takes for written with the directory that the program really left.

pub mod cells;
pub mod content;
pub mod disk;
pub mod mqtt_packets;
pub mod recorder;
pub mod syscall;
pub mod trace;
pub mod tree;
