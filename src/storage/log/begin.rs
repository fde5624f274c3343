//! A segment on its way into the log: prepared, then begun, then written to.

use super::*;

/// A segment that waits for its turn: complete, named, durable and empty.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) header: FileHeader,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) region: Arc<Region>,
    pub(super) size: u64,
}

/// A segment whose Begin is written and that is not part of the log yet.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) segment: Arc<Segment>,
    pub(super) size: u64,
    /// The checksum of Begin's header.
    pub(super) crc: u32,
    /// The durable position that Begin tells.
    pub(super) durable: u64,
    file: Arc<dyn DiskFile>,
    region: RegionWriter,
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) region: RegionWriter,
    pub(super) end: u64,
    pub(super) size: u64,
    pub(super) entries: u64,
}

impl Prepared {
    pub(super) fn new(home: &Home, number: u64, size: u64) -> Result<Prepared> {
        let (header, file) = segment::create(home, number, size)?;
        match file.map(size, true) {
            Ok(region) => Ok(Prepared { header, file, region: Arc::new(region), size }),
            Err(e) => {
                let path = home.dir.join(name::segment(header.number, header.generation));
                drop(home.disk.remove_file(&path));
                Err(Error::io("map", &path, e))
            }
        }
    }

    /// Writes the first frame.
    pub(super) fn begin(self, log: &Log, begin: Begin) -> Result<Begun> {
        let Prepared { header, file, region: shared, size } = self;
        let at = FILE_HEADER as u64;
        let path = log.home.dir.join(name::segment(header.number, header.generation));
        let Some(mut region) = shared.writer() else {
            return Err(Error::corrupt("the segment has a writer already").at(&path));
        };
        let durable = log.commit.durable();
        let extras = Extras {
            durable_distance: Some((begin.position + at).saturating_sub(durable)),
            ..Extras::default()
        };
        let mut out = Vec::new();
        let frame = FrameBuilder::begin(&mut out, Kind::Begin, extras.flags(), None);
        extras.write(&mut out);
        begin.write(&mut out);
        let crc = frame.end(&mut out, header.seed(), at);
        let end = at + out.len() as u64;
        if let Err(e) = writer::put(&mut region, &*file, log.is_strict(), at, &out) {
            // Nothing refers to it, and without a Begin it is nothing.
            log.discard(&header);
            return Err(Error::io("write", &path, e));
        }
        region.freeze(end);
        log.home.disk.step("begin written");
        let parts = SegmentParts {
            seed: header.seed(),
            header,
            begin,
            first_offset: end,
            end,
            entries: 0,
            index: Vec::new(),
            sealed: false,
            holes: Vec::new(),
        };
        let segment = Arc::new(Segment::new(&log.home, parts));
        segment.set_region(shared);
        Ok(Begun { segment, size, crc, durable, file, region })
    }
}

impl Active {
    pub(super) fn open(&self) -> OpenSegment {
        (Arc::clone(&self.segment), Arc::clone(&self.file))
    }
}

impl Begun {
    pub(super) fn open(&self) -> OpenSegment {
        (Arc::clone(&self.segment), Arc::clone(&self.file))
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|e| Error::io("sync", &self.segment.path, e))
    }

    pub(super) fn active(self) -> Active {
        let Begun { segment, file, region, size, .. } = self;
        Active { end: segment.end(), segment, file, region, size, entries: 0 }
    }
}
