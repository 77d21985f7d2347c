"""MNN: pose, landmarks and visibility of a face in one network (Valle, Buenaposada and Baumela, IEEE TPAMI 2020).

A reconstruction: the authors' layer table and weights are not published.  What is ours is said where it stands.

* `config`: every setting, read from TOML; `crops`, `targets`, `augment`: from a picture and its labels to what the network sees and
  learns (NumPy and OpenCV).
* `network`, `losses`, `data`, `checkpoint`, `validation`, `train`, `infer`: written in PyTorch, and imported when asked for.
"""
