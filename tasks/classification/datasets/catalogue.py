"""The published data sets, as far as they are known before their files are read.

Confirmed here by an official list: the counts and classes of Food-101 and Oxford 102 Flowers, the
number of classes of Oxford-IIIT Pets, Stanford Cars and Caltech-101 (101 and the background), and
by its authors' code the 732 to 1300 training and 50 test images a concept of CoG. The other counts
and the terms are from memory of the publications: a reader refuses files that disagree, and says
so. Checksums are those of torchvision's readers, of the owners' pages (iNaturalist, CUB), and for
Aircraft of several independent loaders; no owner publishes one for the archives without.
"""

from __future__ import annotations

from tasks.classification.datasets.contract import Archive, Publication

_HERE = "tasks.classification.datasets"
_HELD_OUT = "20 % of train, held out by class"
_OFFICIAL = "the official val"
_IMAGENET = "ImageNet's terms: research, non-commercial"


def _cifar(classes: int, stem: str, end: str, meta: str, md5: str) -> Publication:
    batches = "data_batch_1 .. data_batch_5, test_batch" if classes == 10 else "train, test"
    archive = f"{stem}-python.tar.gz"
    return Publication(
        name=f"cifar{classes}",
        title=f"CIFAR-{classes} (2009)",
        reader=f"{_HERE}.cifar:read_cifar{classes}",
        layout=f"{stem}-{end}/{{{batches}, {meta}}}",
        licence="none stated",
        source=f"{archive} from www.cs.toronto.edu/~kriz/cifar.html",
        figure="accuracy",
        counts=(50_000, None, 10_000),
        classes=classes,
        selection=_HELD_OUT,
        each=(50_000 // classes, 50_000 // classes),
        archives=(Archive(archive, f"{stem}-{end}", md5),),
    )


def _cog(level: int) -> Publication:
    return Publication(
        name=f"cog-l{level}",
        title=f"ImageNet-CoG (2021), level {level}",
        reader=f"{_HERE}.cog:read_level{level}",
        layout="n*/*.JPEG, cog_levels_mapping_file.pkl, cog_concepts_split_file.pkl",
        licence=_IMAGENET,
        source="the Winter 2021 release of ImageNet-21K from image-net.org, with an account, and "
        "the two .pkl files linked at github.com/naver/cog",
        figure="accuracy",
        counts=(None, None, 50_000),
        classes=1_000,
        selection=_HELD_OUT,
        each=(732, 1_300),
    )


_TABLE = (
    Publication(
        name="food101",
        title="Food-101 (2014)",
        reader=f"{_HERE}.food101:read",
        layout="food-101/{images/CLASS/*.jpg, meta/classes.txt, meta/train.txt, meta/test.txt}",
        licence="research",
        source="food-101.tar.gz from data.vision.ee.ethz.ch/cvl/datasets_extra/food-101",
        figure="accuracy",
        counts=(75_750, None, 25_250),
        classes=101,
        selection=_HELD_OUT,
        each=(750, 750),
        archives=(Archive("food-101.tar.gz", "food-101", "85eeb15f3717b99a5da872d97d918f87"),),
    ),
    _cifar(10, "cifar-10", "batches-py", "batches.meta", "c58f30108f718f92721af3b95e74349a"),
    _cifar(100, "cifar-100", "python", "meta", "eb9058c3a382ffc7106e4002c42a8d85"),
    Publication(
        name="cub200",
        title="CUB-200-2011",
        reader=f"{_HERE}.cub200:read",
        layout=(
            "CUB_200_2011/{images/CLASS/*.jpg, images.txt, image_class_labels.txt, "
            "train_test_split.txt, classes.txt}"
        ),
        licence="non-commercial research",
        source="CUB_200_2011.tgz from data.caltech.edu/records/65de6-vp158",
        figure="accuracy",
        counts=(5_994, None, 5_794),
        classes=200,
        selection=_HELD_OUT,
        archives=(Archive("CUB_200_2011.tgz", "CUB_200_2011", "97eceeb196236b17998738112f37df78"),),
    ),
    Publication(
        name="sun397",
        title="SUN397 (2010), partition 01",
        reader=f"{_HERE}.sun397:read",
        layout="SUN397/{a/abbey/*.jpg .. , ClassName.txt, Training_01.txt, Testing_01.txt}",
        licence="research",
        source="SUN397.tar.gz and Partitions.zip from vision.princeton.edu/projects/2010/SUN",
        figure="accuracy",
        counts=(19_850, None, 19_850),
        classes=397,
        selection=_HELD_OUT,
        each=(50, 50),
        archives=(
            Archive("SUN397.tar.gz", "SUN397", "8ca2778205c41d23104230ba66911c7a"),
            Archive("Partitions.zip", "Training_01.txt"),
        ),
    ),
    Publication(
        name="cars",
        title="Stanford Cars (2013)",
        reader=f"{_HERE}.cars:read",
        layout=(
            "cars_train/*.jpg, cars_test/*.jpg, cars_test_annos_withlabels.mat, "
            "devkit/{cars_meta.mat, cars_train_annos.mat}"
        ),
        licence="non-commercial research",
        source="its host is gone; copies are about; the test labels are in a file of their own, "
        "cars_test_annos_withlabels.mat",
        figure="accuracy",
        counts=(8_144, None, 8_041),
        classes=196,
        selection=_HELD_OUT,
        archives=(
            Archive("cars_train.tgz", "cars_train"),
            Archive("cars_test.tgz", "cars_test"),
            Archive("car_devkit.tgz", "devkit"),
        ),
    ),
    Publication(
        name="aircraft",
        title="FGVC-Aircraft (2013b), variants",
        reader=f"{_HERE}.aircraft:read",
        layout=(
            "fgvc-aircraft-2013b/data/{images/*.jpg, variants.txt, images_variant_train.txt, "
            "images_variant_val.txt, images_variant_test.txt}"
        ),
        licence="non-commercial research",
        source="fgvc-aircraft-2013b.tar.gz from www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft",
        figure="mean_per_class",
        counts=(3_334, 3_333, 3_333),
        classes=100,
        selection=_OFFICIAL,
        archives=(
            Archive(
                "fgvc-aircraft-2013b.tar.gz",
                "fgvc-aircraft-2013b",
                "d4acdd33327262359767eeaa97a4f732",
            ),
        ),
    ),
    Publication(
        name="voc2007",
        title="PASCAL VOC 2007, classification",
        reader=f"{_HERE}.voc2007:read",
        layout=(
            "VOCdevkit/VOC2007/{JPEGImages/*.jpg, ImageSets/Main/{train, val, test}.txt, "
            "ImageSets/Main/CLASS_{train, val, test}.txt}"
        ),
        licence="Flickr's terms",
        source="VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar from "
        "host.robots.ox.ac.uk/pascal/VOC/voc2007",
        figure="map11",
        counts=(2_501, 2_510, 4_952),
        classes=20,
        selection=_OFFICIAL,
        archives=(
            Archive(
                "VOCtrainval_06-Nov-2007.tar",
                "VOCdevkit/VOC2007/ImageSets/Main/trainval.txt",
                "c52e279531787c972589f7e41ab4ae64",
            ),
            Archive(
                "VOCtest_06-Nov-2007.tar",
                "VOCdevkit/VOC2007/ImageSets/Main/test.txt",
                "b6e924de25625d8de591ea690078ad9f",
            ),
        ),
    ),
    Publication(
        name="dtd",
        title="DTD (2014), split 1",
        reader=f"{_HERE}.dtd:read",
        layout="dtd/{images/CLASS/*.jpg, labels/train1.txt, labels/val1.txt, labels/test1.txt}",
        licence="research",
        source="dtd-r1.0.1.tar.gz from www.robots.ox.ac.uk/~vgg/data/dtd",
        figure="accuracy",
        counts=(1_880, 1_880, 1_880),
        classes=47,
        selection=_OFFICIAL,
        each=(40, 40),
        archives=(Archive("dtd-r1.0.1.tar.gz", "dtd", "fff73e5086ae6bdbea199a49dfb8a4c1"),),
    ),
    Publication(
        name="pets",
        title="Oxford-IIIT Pets (2012)",
        reader=f"{_HERE}.pets:read",
        layout="images/*.jpg, annotations/{trainval.txt, test.txt}",
        licence="CC BY-SA 4.0",
        source="images.tar.gz and annotations.tar.gz from www.robots.ox.ac.uk/~vgg/data/pets",
        figure="mean_per_class",
        counts=(3_680, None, 3_669),
        classes=37,
        selection=_HELD_OUT,
        archives=(
            Archive("images.tar.gz", "images", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
            Archive("annotations.tar.gz", "annotations", "95a8c909bbe2e81eed6a22bccdf3f68f"),
        ),
    ),
    Publication(
        name="caltech101",
        title="Caltech-101 (2003), 101 classes, 30 images each for training",
        reader=f"{_HERE}.caltech101:read",
        layout="101_ObjectCategories/CLASS/*.jpg",
        licence="CC BY 4.0",
        source="caltech-101.zip from data.caltech.edu/records/mzrjq-6wc02",
        figure="mean_per_class",
        counts=(3_030, None, 5_647),
        classes=101,
        selection=_HELD_OUT,
        each=(30, 30),
        archives=(
            Archive(
                "caltech-101.zip",
                "caltech-101/101_ObjectCategories.tar.gz",
                "3138e1922a9193bfa496528edbbc45d0",
            ),
            Archive("caltech-101/101_ObjectCategories.tar.gz", "101_ObjectCategories"),
        ),
    ),
    Publication(
        name="flowers102",
        title="Oxford 102 Flowers (2008)",
        reader=f"{_HERE}.flowers102:read",
        layout="jpg/image_*.jpg, imagelabels.mat, setid.mat",
        licence="not stated",
        source="102flowers.tgz, imagelabels.mat and setid.mat from "
        "www.robots.ox.ac.uk/~vgg/data/flowers/102",
        figure="mean_per_class",
        counts=(1_020, 1_020, 6_149),
        classes=102,
        selection=_OFFICIAL,
        each=(10, 10),
        archives=(Archive("102flowers.tgz", "jpg", "52808999861908f626f3c1f4e79d11fa"),),
    ),
    Publication(
        name="imagenet",
        title="ImageNet-1K (ILSVRC 2012)",
        reader=f"{_HERE}.imagenet:read",
        layout="train/WNID/*.JPEG, val/WNID/*.JPEG",
        licence=_IMAGENET,
        source="image-net.org, with an account; unpack it into class folders, val too",
        figure="accuracy",
        counts=(1_281_167, None, 50_000),
        classes=1_000,
        selection=_HELD_OUT,
        each=(732, 1_300),
    ),
    Publication(
        name="inat2018",
        title="iNaturalist 2018",
        reader=f"{_HERE}.inat2018:read",
        layout="train_val2018/GROUP/CLASS/*.jpg, train2018.json, val2018.json",
        licence="non-commercial research",
        source="train_val2018.tar.gz, train2018.json.tar.gz and val2018.json.tar.gz, linked at "
        "github.com/visipedia/inat_comp/tree/master/2018",
        figure="accuracy",
        counts=(437_513, None, 24_426),
        classes=8_142,
        selection=_HELD_OUT,
        archives=(
            Archive("train_val2018.tar.gz", "train_val2018", "b1c6952ce38f31868cc50ea72d066cc3"),
            Archive("train2018.json.tar.gz", "train2018.json", "bfa29d89d629cbf04d826a720c0a68b0"),
            Archive("val2018.json.tar.gz", "val2018.json", "f2ed8bfe3e9901cdefceb4e53cd3775d"),
        ),
    ),
)

PUBLICATIONS: dict[str, Publication] = {
    publication.name: publication for publication in (*_TABLE, *map(_cog, range(1, 6)))
}
"""By their names on the command line."""

KORNBLITH12: tuple[str, ...] = (
    *("food101", "cifar10", "cifar100", "cub200", "sun397", "cars", "aircraft", "voc2007", "dtd"),
    *("pets", "caltech101", "flowers102"),
)
"""The twelve of Kornblith et al. 2019, CUB-200-2011 in the place of Birdsnap, whose images are
gone."""
