//! Which classes are taken for which, and the worst mistakes.

use super::answers::Answer;
use serde::Serialize;

/// Answers over classes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confusion {
    /// Rows are right classes, columns are answers: numbers of images.
    pub matrix: Vec<Vec<usize>>,
    /// Share of the images of each class that are recognized, in percent; null for a class without images.
    pub recall: Vec<Option<f64>>,
    /// Share of the answers of each class that are right, in percent; null for a class that is never answered.
    pub precision: Vec<Option<f64>>,
}

/// An image with a wrong answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mistake {
    /// The image's number.
    pub image: usize,
    /// Its class.
    pub label: usize,
    /// The answer.
    pub class: usize,
    /// The answer's probability.
    pub probability: f32,
}

impl Confusion {
    /// Of the answers to images with these labels.
    pub fn of(answers: &[Answer], labels: &[u8], classes: usize) -> Self {
        let mut matrix = vec![vec![0; classes]; classes];
        for (answer, label) in answers.iter().zip(labels) {
            matrix[usize::from(*label)][answer.class] += 1;
        }
        let percent = |part: usize, all: usize| (all > 0).then(|| 100.0 * part as f64 / all as f64);
        let recall = (0..classes).map(|c| percent(matrix[c][c], matrix[c].iter().sum())).collect();
        let precision = (0..classes).map(|c| percent(matrix[c][c], matrix.iter().map(|row| row[c]).sum())).collect();
        Confusion { matrix, recall, precision }
    }
}

/// The wrong answers, the most certain first.
pub fn mistakes(answers: &[Answer], labels: &[u8]) -> Vec<Mistake> {
    let all = answers.iter().zip(labels).enumerate();
    let wrong = all.filter(|(_, (answer, label))| answer.class != usize::from(**label));
    let mut mistakes: Vec<Mistake> = wrong
        .map(|(image, (answer, label))| Mistake {
            image,
            label: usize::from(*label),
            class: answer.class,
            probability: answer.probability,
        })
        .collect();
    mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_class_and_the_most_certain_mistake_is_first() {
        let answer = |class: usize, probability: f32| Answer {
            class,
            probability,
            entropy: 0.0,
            abstain: false,
            logits: Vec::new(),
            features: Vec::new(),
        };
        let answers = [answer(0, 0.9), answer(1, 0.6), answer(1, 0.8), answer(0, 0.7)];
        let labels = [0, 0, 1, 1];
        let confusion = Confusion::of(&answers, &labels, 3);
        assert_eq!(confusion.matrix, [[1, 1, 0], [1, 1, 0], [0, 0, 0]]);
        assert_eq!(
            (confusion.recall, confusion.precision),
            (vec![Some(50.0), Some(50.0), None], vec![Some(50.0), Some(50.0), None])
        );
        let found: Vec<(usize, usize, usize)> =
            mistakes(&answers, &labels).iter().map(|m| (m.image, m.label, m.class)).collect();
        assert_eq!(found, [(3, 1, 0), (1, 0, 1)]);
    }
}
