"""WeSpeaker's ResNet speaker encoders in plain torch: their input, the network, and the files of weights.

Wang et al., *WeSpeaker: a research and production oriented speaker embedding learning toolkit*, ICASSP 2023.
"""
