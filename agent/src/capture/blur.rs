//! The operator's own program that makes inputs unrecognisable before they are written down: faces blurred, plates
//! blackened, names cut out.
//!
//! It gets the bytes of one tensor on standard input and gives as many back on standard output; `TERN_DTYPE` and
//! `TERN_SHAPE` say how they lie. Called by `node`, in a thread of its own, before a capture is written anywhere.
//!
//! Must never break: whatever goes wrong, what went in does not come out.

use std::{
    io::{self, Read as _, Write as _},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tern_protocol::tensor::Tensor;

/// How often it is looked whether the program has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Why there is nothing to keep.
#[derive(Debug, thiserror::Error)]
pub enum BlurError {
    /// The program cannot be started.
    #[error("`{program}` does not start")]
    Start {
        /// Which.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("it has not ended after {} ms", .0.as_millis())]
    Slow(Duration),
    /// It said that it failed.
    #[error("it ended with {0}")]
    Failed(ExitStatus),
    /// It gave something else than a tensor of the same length.
    #[error("it gave {given} bytes for {wanted}")]
    Length {
        /// What it gave; one more than wanted stands for all that is more.
        given: usize,
        /// What it should have given.
        wanted: usize,
    },
    /// It did not take the input or its answer could not be read.
    #[error("speaking to it")]
    Pipe(#[source] io::Error),
}

/// Lets `command` blur a tensor. Takes its time.
pub fn blur(command: &[String], patience: Duration, input: &Tensor) -> Result<Tensor, BlurError> {
    let (program, args) = command.split_first().ok_or(BlurError::Length {
        given: 0,
        wanted: input.data.len(),
    })?;
    let shape: Vec<_> = input.shape.iter().map(ToString::to_string).collect();
    let child = Command::new(program)
        .args(args)
        .env("TERN_DTYPE", input.dtype.to_string())
        .env("TERN_SHAPE", shape.join(","))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|source| BlurError::Start {
        program: program.clone(),
        source,
    })?;
    let data = spoken(&mut child, patience, &input.data);
    if data.is_err() {
        // It may have ended by itself meanwhile.
        let _ = child.kill();
        let _ = child.wait();
    }
    Ok(Tensor {
        dtype: input.dtype,
        shape: input.shape.clone(),
        data: data?,
    })
}

/// Gives it the bytes and takes as many.
fn spoken(child: &mut Child, patience: Duration, input: &[u8]) -> Result<Vec<u8>, BlurError> {
    let end = Instant::now() + patience;
    let pipes = child.stdin.take().zip(child.stdout.take());
    let (mut to, from) = pipes.expect("both are piped");
    let (bytes, wanted) = (input.to_vec(), input.len());
    // Who reads nothing before it has written all would wait for us, and we for it. Both threads end with the pipes:
    // whoever holds them is killed if it takes too long.
    let writing = thread::spawn(move || to.write_all(&bytes));
    let reading = thread::spawn(move || {
        let mut given = Vec::new();
        from.take(wanted as u64 + 1)
            .read_to_end(&mut given)
            .map(|_| given)
    });
    let status = loop {
        match child.try_wait().map_err(BlurError::Pipe)? {
            Some(status) => break status,
            None if Instant::now() >= end => return Err(BlurError::Slow(patience)),
            None => thread::sleep(LOOK),
        }
    };
    // A child of the program may have inherited the pipes and hold them open.
    while !reading.is_finished() {
        if Instant::now() >= end {
            return Err(BlurError::Slow(patience));
        }
        thread::sleep(LOOK);
    }
    if !status.success() {
        return Err(BlurError::Failed(status));
    }
    let read = reading
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("its reader broke")));
    let given = read.map_err(BlurError::Pipe)?;
    // A program may give an image of its own without having read ours.
    drop(writing);
    if given.len() != wanted {
        return Err(BlurError::Length {
            given: given.len(),
            wanted,
        });
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, patience: Duration) -> Result<Vec<u8>, String> {
        let input = Tensor::from_f32(&[1, 2], &[1.0, 2.0]);
        let command = ["sh", "-c", script].map(ToOwned::to_owned);
        let blurred = blur(&command, patience, &input).map_err(|err| err.to_string())?;
        assert_eq!((blurred.dtype, &blurred.shape), (input.dtype, &input.shape));
        Ok(blurred.data)
    }

    #[test]
    fn what_the_program_gives_is_kept_and_nothing_else() {
        let long = Duration::from_secs(20);
        let zeros = "test \"$TERN_SHAPE\" = 1,2 && test $TERN_DTYPE = f32 && head -c 8 /dev/zero";
        assert_eq!(run(zeros, long), Ok(vec![0; 8]));
        let refused = |script| run(script, long).expect_err("nothing is kept");
        assert!(refused("cat; exit 3").contains('3'));
        assert!(refused("head -c 7").contains("7 bytes for 8"));
        assert!(refused("cat; echo more").contains("9 bytes for 8"));
        let slow = run("cat; sleep 60", Duration::from_millis(150));
        assert!(slow.expect_err("it is too slow").contains("150 ms"));
        let nobody = blur(
            &["/nowhere/blur".into()],
            long,
            &Tensor::from_f32(&[1], &[1.0]),
        );
        assert!(matches!(nobody, Err(BlurError::Start { .. })));
    }
}
