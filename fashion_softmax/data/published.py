"""Facts about the published data sets: names, digests, and where to download them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published data set.

    Attributes:
        mirrors: URLs of folders with the four gzipped files, the first one first.
        sha256: role to the digest of the unpacked file.
        class_names: in label order.
        debian_package: a package that holds the four gzipped files, if there is one.
    """

    mirrors: tuple[str, ...]
    sha256: dict[str, str]
    class_names: tuple[str, ...]
    debian_package: str | None = None


PUBLISHED = {
    # Xiao et al., https://github.com/zalandoresearch/fashion-mnist
    "fashion_mnist": Published(
        mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        sha256={
            "train_images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train_labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "test_images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "test_labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        class_names=(
            *("t-shirt", "trouser", "pullover", "dress", "coat"),
            *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
        ),
        debian_package="dataset-fashion-mnist",
    ),
    # LeCun et al., http://yann.lecun.com/exdb/mnist
    "mnist": Published(
        mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        sha256={
            "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train_labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        class_names=tuple("0123456789"),
    ),
}
