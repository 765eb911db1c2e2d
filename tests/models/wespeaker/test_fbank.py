"""Filter bank of Kaldi: beside torchaudio's, and whatever the padding."""

import torch

from models.speechbrain_compat import speechbrain_importable
from models.wespeaker.fbank import kaldi_fbank, n_frames


def test_equals_torchaudio_and_ignores_padding() -> None:
    with speechbrain_importable():
        from torchaudio.compliance.kaldi import fbank
    waveform = 0.1 * torch.randn(2, 8_000, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([5_000, 8_000])
    found = kaldi_fbank(waveform, lengths)
    for row, length, bands in zip(waveform, lengths.tolist(), found, strict=True):
        peer = fbank(row[None, :length] * 32_768, num_mel_bins=80, window_type="hamming", dither=0.0)
        torch.testing.assert_close(bands[: len(peer)], peer - peer.mean(0), atol=2e-3, rtol=0)
        assert (bands[len(peer) :] == 0).all()
    assert n_frames(lengths).tolist() == [29, 48]
