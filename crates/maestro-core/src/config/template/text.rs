//! The strings of templates, and the meter that keeps a template from using up the machine.

use crate::source::SourceId;
use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

/// A run of rendered text that stands in a file just so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where it begins in the rendered text.
    pub(crate) rendered: u32,
    /// Bytes.
    pub(crate) length: u32,
    /// The file.
    pub(crate) source: SourceId,
    /// Where it begins in the file.
    pub(crate) start: u32,
}

/// What is left of a limit. Counting here never fails; the renderer looks at it at every step.
#[derive(Debug)]
pub(super) struct Meter {
    steps: Cell<u64>,
    bytes: Cell<u64>,
}

/// Which limit was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exhausted {
    Steps,
    Bytes,
}

/// Text made costs a step for each so many bytes: about what a step takes.
const BYTES_PER_STEP: u64 = 256;

impl Meter {
    pub(super) fn new(steps: u64, bytes: u64) -> Rc<Self> {
        Rc::new(Self { steps: Cell::new(steps), bytes: Cell::new(bytes) })
    }

    pub(super) fn work(&self, steps: u64) -> Result<(), Exhausted> {
        match self.steps.get().checked_sub(steps) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => Err(Exhausted::Steps),
        }
    }

    /// Takes memory, and the work of filling it.
    pub(super) fn take(&self, bytes: usize) -> Result<(), Exhausted> {
        self.afford(bytes)?;
        self.bytes.set(self.bytes.get() - bytes as u64);
        self.work(bytes as u64 / BYTES_PER_STEP)
    }

    /// Whether so much memory is left: asked before something is built whose size a template chooses.
    pub(super) fn afford(&self, bytes: usize) -> Result<(), Exhausted> {
        if bytes as u64 > self.bytes.get() { Err(Exhausted::Bytes) } else { Ok(()) }
    }

    /// The work of reading so much text.
    pub(super) fn read(&self, bytes: usize) -> Result<(), Exhausted> {
        self.work(1 + bytes as u64 / BYTES_PER_STEP)
    }

    fn give_back(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes as u64);
    }
}

/// A string of a template: shared, and counted as long as anything holds it.
#[derive(Debug, Clone)]
pub(super) struct Text(Rc<Metered>);

#[derive(Debug)]
struct Metered {
    text: Box<str>,
    /// Which parts of it stand in a file: the output of macros keeps its places.
    segments: Box<[Segment]>,
    /// What was taken from the meter.
    bytes: usize,
    characters: Cell<Option<usize>>,
    meter: Rc<Meter>,
}

impl Text {
    pub(super) fn new(text: String, segments: Vec<Segment>, meter: &Rc<Meter>) -> Result<Self, Exhausted> {
        let bytes = text.len() + segments.len() * size_of::<Segment>();
        meter.take(bytes)?;
        let (text, segments) = (text.into_boxed_str(), segments.into_boxed_slice());
        Ok(Self(Rc::new(Metered {
            text,
            segments,
            bytes,
            characters: Cell::new(None),
            meter: Rc::clone(meter),
        })))
    }

    /// Number of characters. Counted once.
    pub(super) fn characters(&self) -> usize {
        let count = self.0.characters.get().unwrap_or_else(|| self.0.text.chars().count());
        self.0.characters.set(Some(count));
        count
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.0.segments
    }

    pub(super) fn same_object(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.meter.give_back(self.bytes);
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0.text
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl std::hash::Hash for Text {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

/// Text being produced, with the places that its parts have in files.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) text: String,
    pub(super) segments: Vec<Segment>,
    taken: usize,
    meter: Rc<Meter>,
}

impl Output {
    pub(super) fn new(meter: &Rc<Meter>) -> Self {
        Self { text: String::new(), segments: Vec::new(), taken: 0, meter: Rc::clone(meter) }
    }

    fn take(&mut self, bytes: usize, segments: usize) -> Result<(), Exhausted> {
        let bytes = bytes + segments * size_of::<Segment>();
        self.meter.take(bytes)?;
        self.meter.work(1)?;
        self.taken += bytes;
        Ok(())
    }

    /// Adds text as it stands in a file.
    pub(super) fn raw(&mut self, text: &str, source: SourceId, start: u32) -> Result<(), Exhausted> {
        self.take(text.len(), 1)?;
        let rendered = small(self.text.len());
        let length = small(text.len());
        self.text.push_str(text);
        if let Some(last) = self.segments.last_mut()
            && last.source == source
            && last.start + last.length == start
            && last.rendered + last.length == rendered
        {
            last.length += length;
        } else {
            self.segments.push(Segment { rendered, length, source, start });
        }
        Ok(())
    }

    /// Adds a value's text, which keeps its own places.
    pub(super) fn text(&mut self, text: &Text) -> Result<(), Exhausted> {
        self.take(text.len(), text.segments().len())?;
        let offset = small(self.text.len());
        self.segments.extend(
            text.segments().iter().map(|segment| Segment { rendered: segment.rendered + offset, ..*segment }),
        );
        self.text.push_str(text);
        Ok(())
    }

    /// Adds text that stands nowhere.
    pub(super) fn computed(&mut self, text: &str) -> Result<(), Exhausted> {
        self.take(text.len(), 0)?;
        self.text.push_str(text);
        Ok(())
    }

    /// What was written.
    pub(super) fn finish(mut self) -> (String, Vec<Segment>) {
        (std::mem::take(&mut self.text), std::mem::take(&mut self.segments))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.meter.give_back(self.taken);
    }
}

/// Offsets fit: the limits on files and on the rendered text are far below 4 GiB.
pub(super) fn small(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
