//! What a name on the command line stands for: a data set that the program knows, or a folder of pictures.

use super::pictures::{PictureFolder, Pictures, Reading};
use super::prepare::prepare;
use super::{ALL, DataError, DataSet, Folder, Images, Split, find};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A data set of either kind.
#[derive(Debug)]
pub struct Collection {
    /// Its name on the command line.
    pub name: String,
    /// Names of its classes.
    pub classes: Vec<String>,
    reading: Reading,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Known(&'static DataSet, Folder),
    /// With the pictures that were read last, and the shape that they were read for.
    Pictures(PictureFolder, Mutex<Option<([usize; 3], Arc<Pictures>)>>),
}

impl Collection {
    /// The data set of this name, whose files are in `folder`, or else the folder of pictures at this path. A folder with the
    /// name of a data set is meant by `./NAME`.
    ///
    /// # Errors
    /// [`DataError::NoSuch`] if there is neither, or if the folder is not one of pictures in classes.
    pub fn open(name: &str, folder: &Folder, reading: Reading) -> Result<Self, DataError> {
        let (classes, kind) = if let Ok(set) = find(name) {
            (set.classes.iter().map(|class| (*class).to_owned()).collect(), Kind::Known(set, folder.clone()))
        } else if Path::new(name).exists() {
            let folder = PictureFolder::open(Path::new(name))?;
            (folder.classes().to_vec(), Kind::Pictures(folder, Mutex::new(None)))
        } else {
            let known = ALL.iter().map(|set| set.name).collect::<Vec<_>>().join(", ");
            return Err(DataError::NoSuch { name: name.into(), known });
        };
        Ok(Collection { name: name.into(), classes, reading, kind })
    }

    /// The shape of its images: channels, rows, columns. Of a folder, whose pictures may have many, that of a typical one.
    pub fn shape(&self) -> [usize; 3] {
        match &self.kind {
            Kind::Known(set, _) => set.shape,
            Kind::Pictures(folder, _) => {
                let ([height, width], color) = folder.typical();
                [if color { 3 } else { 1 }, height, width]
            }
        }
    }

    /// The channels that a network must take; none if pictures become gray or color as it wants.
    pub fn channels(&self) -> Option<usize> {
        match &self.kind {
            Kind::Known(set, _) => Some(set.shape[0]),
            Kind::Pictures(..) => None,
        }
    }

    /// How pictures become a network's input, and how they are split.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The images of a split for a network that takes `input`: channels, rows, columns.
    ///
    /// # Errors
    /// [`DataError`] if files are missing or damaged.
    pub fn load(&self, split: Split, input: [usize; 3]) -> Result<Images, DataError> {
        match &self.kind {
            Kind::Known(set, folder) => {
                prepare(&set.load(folder, split)?, &self.reading.preparation, Some([input[1], input[2]]))
            }
            Kind::Pictures(folder, read) => {
                let pictures = self.read(folder, read, input)?;
                Ok(if split == Split::Train { pictures.train.images.clone() } else { pictures.test.images.clone() })
            }
        }
    }

    /// The pictures of a folder for a network that takes `input`, which are read once; none if it is a known data set.
    ///
    /// # Errors
    /// [`DataError`] as for [`PictureFolder::read`].
    pub fn pictures(&self, input: [usize; 3]) -> Result<Option<Arc<Pictures>>, DataError> {
        match &self.kind {
            Kind::Known(..) => Ok(None),
            Kind::Pictures(folder, read) => self.read(folder, read, input).map(Some),
        }
    }

    fn read(
        &self,
        folder: &PictureFolder,
        read: &Mutex<Option<([usize; 3], Arc<Pictures>)>>,
        input: [usize; 3],
    ) -> Result<Arc<Pictures>, DataError> {
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pictures)) = read.as_ref().filter(|(shape, _)| *shape == input) {
            return Ok(pictures.clone());
        }
        let pictures = Arc::new(folder.read(&self.reading, input, &|| ())?);
        *read = Some((input, pictures.clone()));
        Ok(pictures)
    }
}
